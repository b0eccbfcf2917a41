"""What stops a release before it is migrated, because it can't be imported, and what doesn't."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from press_deploy.engine.databases import inventory
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.steps import imports
from press_deploy.engine.steps.imports import ReleaseImports
from tests.support.steps import hand

from .step_run import StepRun, make_run


@pytest.fixture
def run(tmp_path: Path) -> StepRun:
	return make_run(tmp_path)


def failure(kind="DocType", name="Item", error="ImportError: x", line=1):
	return {
		"kind": kind,
		"name": name,
		"app": "shop",
		"file": "apps/shop/shop/item.py",
		"line": line,
		"error": error,
	}


class TestReleaseImports:
	"""What could not be imported before either does not block a release, unless migrate deletes it for that."""

	@pytest.fixture(autouse=True)
	def site(self, run, monkeypatch):
		self.former, self.failures, self.there, self.installed = [], [], ["Item"], ["shop"]
		needs = {"needed": True}
		run.state = SimpleNamespace(needs=lambda _: needs, result=lambda _: {"failed": self.former})
		run.tasks["check_imports"] = lambda site: {"checked": 9, "failures": self.failures}
		self.needs = needs
		run.bench.app("shop").mkdir(exist_ok=True)
		monkeypatch.setattr(inventory, "list_executed_patches", lambda *_: set())
		monkeypatch.setattr(inventory, "list_apps", lambda *_: self.installed)
		monkeypatch.setattr(
			inventory,
			"take_inventory",
			lambda *_: {
				"doctypes": {name: {"custom": False, "module": "M"} for name in self.there},
				"modules": {"M": "lost"},
			},
		)

	def test_good(self, run):
		assert hand(ReleaseImports, run).apply(run, {})["found"] == "9 modules and hooks, all can be imported"

	def test_a_new_failure_stops_the_run(self, run):
		self.failures = [failure(), failure("hook", "boot_session: shop.boot.add")]
		with pytest.raises(StepFailed) as caught:
			hand(ReleaseImports, run).apply(run, {})
		why = caught.value.why
		assert "DocType Item of shop: apps/shop/shop/item.py, line 1: ImportError: x (and 1 more" in why
		assert "delete, these DocTypes: Item" in why and "Nothing was migrated" in why
		assert str(run.directory.step_log("release-imports")) in caught.value.remedy

	def test_what_is_only_broken_is_not_said_to_be_deleted(self, run):
		self.failures = [failure(error="SyntaxError: x")]
		with pytest.raises(StepFailed) as caught:
			hand(ReleaseImports, run).apply(run, {})
		assert "delete" not in caught.value.why

	def test_an_old_failure_is_noted(self, run):
		self.failures = [failure("hook", "on_login: shop.login.look")]
		self.former = [imports.key_of(each) for each in self.failures]
		assert "1 can't be imported, as before" in hand(ReleaseImports, run).apply(run, {})["found"]
		assert "shop.login.look" in run.notes[0]

	@pytest.mark.parametrize(
		("there", "error", "needed", "stops"),
		[
			(["Item"], "ModuleNotFoundError: x", True, True),
			(["Item"], "SyntaxError: x", True, False),
			([], "ModuleNotFoundError: x", True, False),
			(["Item"], "ModuleNotFoundError: x", False, False),
		],
	)
	def test_an_old_failure_that_migrate_punishes_stops_it(self, run, there, error, needed, stops):
		self.failures, self.there, self.needs["needed"] = [failure(error=error)], there, needed
		self.former = [imports.key_of(each) for each in self.failures]
		if stops:
			with pytest.raises(StepFailed, match="Item"):
				hand(ReleaseImports, run).apply(run, {})
		else:
			hand(ReleaseImports, run).apply(run, {})

	@pytest.mark.parametrize("in_list", [True, False])
	def test_an_installed_app_that_is_not_on_the_bench_stops_it(self, run, in_list):
		self.installed = ["shop", "lost"]
		if in_list:
			(run.bench.sites_directory / "apps.txt").write_text("shop\nlost\n")
		else:
			run.bench.app("lost").mkdir()
		with pytest.raises(StepFailed, match="lost is installed on") as caught:
			hand(ReleaseImports, run).apply(run, {})
		assert "Item" in caught.value.why and "apps.txt" in caught.value.why

	def test_one_that_has_no_doctype_to_lose_does_not(self, run):
		self.installed, self.there = ["shop", "lost"], []
		hand(ReleaseImports, run).apply(run, {})
