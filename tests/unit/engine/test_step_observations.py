"""What steps observe is there in reality: take it away, and they see that."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from press_deploy.engine.bench import assets, distributions
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases import patches

from .support import SITE, make_bench

BUNDLE = "/assets/shop/dist/js/shop.bundle.ABC.js"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
	return Bench.open(make_bench(tmp_path / "bench"))


def write(file: Path, content: str) -> Path:
	file.parent.mkdir(parents=True, exist_ok=True)
	file.write_text(content)
	return file


class TestAssets:
	def test_digest_is_of_names_and_contents(self, tmp_path):
		one, other = tmp_path / "one", tmp_path / "other"
		for place in (one, other):
			write(place / "js" / "a.js", "a")
		assert assets.digest(one) == assets.digest(other) != None  # noqa: E711
		write(other / "js" / "a.js", "b")
		assert assets.digest(one) != assets.digest(other)
		write(other / "js" / "a.js", "a").rename(other / "js" / "b.js")
		assert assets.digest(one) != assets.digest(other)

	def test_nothing_has_no_digest_and_an_empty_directory_has_one(self, tmp_path):
		assert assets.digest(tmp_path / "none") is None
		assert assets.digest(tmp_path) is not None

	def test_bundles_of_other_apps_are_not_asked_for(self, bench):
		names = {
			"shop.bundle.js": BUNDLE,
			"desk.bundle.js": "/assets/frappe/dist/js/desk.bundle.X.js",
			"odd": "x",
		}
		write(bench.sites_directory / "assets" / "assets.json", json.dumps(names))
		wanted = bench.app("shop") / "shop" / "public" / "dist" / "js" / "shop.bundle.ABC.js"
		assert assets.list_bundles(bench, ["shop"]) == [wanted]

	@pytest.mark.parametrize("content", ["", "[1]", "no JSON"])
	def test_a_list_that_cannot_be_read_names_none(self, bench, content):
		write(bench.sites_directory / "assets" / "assets.json", content)
		assert assets.list_bundles(bench, ["shop"]) == []


class TestDistributions:
	def look(self, *directories: Path, asked_by: str = distributions.CODE) -> dict:
		command = [sys.executable, "-I", distributions.__file__, asked_by, *map(str, directories)]
		return json.loads(subprocess.check_output(command, text=True))

	def project(self, directory: Path, *asked: str) -> Path:
		# press_deploy is installed wherever its tests run; so are pytest and what it asks for.
		dependencies = json.dumps(list(asked))
		write(directory / "pyproject.toml", f'[project]\nname = "pytest"\ndependencies = {dependencies}\n')
		return directory

	def test_satisfied(self, tmp_path):
		found = self.look(
			self.project(tmp_path, "pytest>=1", 'nothing-at-all; python_version < "3"', "psutil")
		)
		assert found["unsatisfied"] == {} and found["checked"] == 3 and list(found["apps"]) == ["pytest"]

	@pytest.mark.parametrize(
		("asked", "said"),
		[
			("nothing-at-all", "which is not installed"),
			("psutil<1", "there is"),
			("pytest>=99999", "there is"),
		],
	)
	def test_unsatisfied(self, tmp_path, asked, said):
		((about, line),) = self.look(self.project(tmp_path, asked))["unsatisfied"].items()
		assert about == f"pytest {re.match('[a-z-]+', asked)[0]}"
		assert line.startswith(f"pytest asks for {asked}") and said in line

	def test_an_app_that_is_not_installed(self, tmp_path):
		found = self.look(tmp_path / "no-such-app")["unsatisfied"]
		assert found == {"no-such-app no-such-app": "no-such-app is not installed"}

	def test_what_the_former_release_asked_for_is_not_what_the_code_asks_for(self, tmp_path):
		found = self.look(self.project(tmp_path, "nothing-at-all"), asked_by=distributions.INSTALLED)
		assert found["unsatisfied"] == {} and found["checked"] > 1


class TestPatches:
	@pytest.mark.parametrize(
		("text", "found"),
		[
			(
				"# old\nshop.patches.one #2024\n\nexecute:print(1)\n",
				["shop.patches.one #2024", "execute:print(1)"],
			),
			(
				"[pre_model_sync]\n# x\na.b\n[post_model_sync]\nc.d\n\nfinally:e.f\n",
				["a.b", "c.d", "finally:e.f"],
			),
			("", []),
		],
	)
	def test_read_as_frappe_does(self, bench, text, found):
		write(bench.app("shop") / "shop" / "patches.txt", text)
		assert patches.list_patches(bench, "shop") == found

	def test_an_app_without_patches(self, bench):
		assert patches.list_patches(bench, "shop") == []

	def test_pending_are_those_that_the_log_does_not_know(self, bench, monkeypatch):
		write(bench.app("shop") / "shop" / "patches.txt", "a.b\nfinally:c.d\ne.f\n")
		monkeypatch.setattr(patches.inventory, "list_executed_patches", lambda *_: {"a.b", "c.d"})
		monkeypatch.setattr(patches.inventory, "list_apps", lambda *_: ["frappe", "shop"])
		assert patches.list_pending(bench, SITE, ["shop"]) == ["e.f"]
		monkeypatch.setattr(patches.inventory, "list_apps", lambda *_: ["frappe"])
		assert patches.list_pending(bench, SITE, ["shop"]) == [], "it is not installed on this site"
