"""Imports of a release are tried by the code that is on the bench, and trying changes nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.site.real_site import Site

APP = "press_deploy_sample"
CONTROLLER = "from frappe.model.document import Document\n\n\nclass SampleThing(Document):\n\tpass\n"
GOOD = {
	"__init__.py": "",
	"modules.txt": "Sample Things\n",
	"patches.txt": f"[pre_model_sync]\n\n[post_model_sync]\n{APP}.patches.good #1\nexecute:print(1)\n",
	"patches/__init__.py": "",
	"patches/good.py": "def execute():\n\tpass\n",
	"hooks.py": f'app_name = "{APP}"\ndoc_events = {{"ToDo": {{"on_update": "{APP}.tasks.note"}}}}\n'
	f'doc_events["No Such DocType"] = {{"on_update": "{APP}.nowhere.note"}}\napp_include_js = "{APP}.bundle.js"\n',
	"tasks.py": "def note(doc, method):\n\tpass\n",
	"sample_things/__init__.py": "",
	"sample_things/doctype/__init__.py": "",
	"sample_things/doctype/sample_thing/__init__.py": "",
	"sample_things/doctype/sample_thing/sample_thing.json": json.dumps(
		{"doctype": "DocType", "name": "Sample Thing", "module": "Sample Things", "istable": 1}
	),
	"sample_things/doctype/sample_thing/sample_thing.py": CONTROLLER,
	"sample_things/report/__init__.py": "",
	"sample_things/report/sample_report/__init__.py": "",
	"sample_things/report/sample_report/sample_report.json": json.dumps(
		{"doctype": "Report", "name": "Sample Report", "report_type": "Script Report", "is_standard": "Yes"}
	),
	"sample_things/report/sample_report/sample_report.py": "def execute(filters=None):\n\treturn [], []\n",
}
THING, REPORT = (
	"sample_things/doctype/sample_thing/sample_thing.py",
	"sample_things/report/sample_report/sample_report.py",
)
MISSING = "\nimport module_that_is_not_there\n"


@pytest.fixture
def app(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, str | None]], Path]]:
	"""Writes the sample app on to the bench, with changes (None: without that file)."""
	directory = site.bench / "apps" / APP
	monkeypatch.setenv("PYTHONPATH", f"{directory}:{os.environ.get('PYTHONPATH', '')}")

	def write(changes: dict[str, str | None]) -> Path:
		for name, content in {**GOOD, **changes}.items():
			if content is not None:
				(directory / APP / name).parent.mkdir(parents=True, exist_ok=True)
				(directory / APP / name).write_text(content)
		return directory

	yield write
	shutil.rmtree(directory, ignore_errors=True)


def check(site: Site, executed: list[str] | None = ()) -> list[dict]:
	executed = None if executed is None else list(executed)
	return site.call("check_imports", apps=[APP], others=[], executed=executed)["failures"]


def test_a_good_app(site, app):
	app({})
	found = site.call("check_imports", apps=[APP], others=[], executed=[])
	assert found["failures"] == [] and found["checked"] == 6, "app, DocType, report, hooks, a target, a patch"


def test_frappe_itself_as_another_app(site):
	found = site.call("check_imports", apps=[], others=["frappe"], executed=None)
	assert found["failures"] == [] and found["checked"] > 100


@pytest.mark.parametrize(
	("changes", "kind", "name", "file", "line", "error"),
	[
		(
			{THING: MISSING + CONTROLLER},
			"DocType",
			"Sample Thing",
			THING,
			2,
			"ModuleNotFoundError: No module named",
		),
		({THING: "class Other:\n\tpass\n"}, "DocType", "Sample Thing", None, None, "ImportError:"),
		({THING: "class SampleThing:\n\tpass\n"}, "DocType", "Sample Thing", None, None, "ImportError:"),
		({THING: None}, "DocType", "Sample Thing", None, None, "ModuleNotFoundError:"),
		({THING: "def broken(:\n"}, "DocType", "Sample Thing", THING, 1, "SyntaxError:"),
		({THING: "raise SystemExit(3)\n"}, "DocType", "Sample Thing", THING, 1, "SystemExit: 3"),
		({REPORT: MISSING}, "Report", "Sample Report", REPORT, 2, "ModuleNotFoundError:"),
		({REPORT: None}, "Report", "Sample Report", None, None, "ModuleNotFoundError:"),
		({"hooks.py": "app_name = nothing\n"}, "hooks", f"{APP}.hooks", "hooks.py", 1, "NameError:"),
		(
			{"tasks.py": MISSING},
			"hook",
			f"doc_events: {APP}.tasks.note",
			"tasks.py",
			2,
			"ModuleNotFoundError:",
		),
		({"tasks.py": ""}, "hook", f"doc_events: {APP}.tasks.note", "hooks.py", 2, "AttributeError:"),
		(
			{"patches/good.py": MISSING},
			"patch",
			f"{APP}.patches.good",
			"patches/good.py",
			2,
			"ModuleNotFoundError:",
		),
		({"patches/good.py": None}, "patch", f"{APP}.patches.good", "patches.txt", 4, "ModuleNotFoundError:"),
		({"patches/good.py": ""}, "patch", f"{APP}.patches.good", "patches.txt", 4, "AttributeError:"),
		({"__init__.py": MISSING}, "app", APP, "__init__.py", 2, "ModuleNotFoundError:"),
	],
)
def test_what_cannot_be_imported_is_named(site, app, changes, kind, name, file, line, error):
	app(changes)
	(failure,) = check(site)
	assert (failure["kind"], failure["name"], failure["app"]) == (kind, name, APP)
	assert failure["error"].startswith(error), failure
	if file:
		assert (failure["file"], failure["line"]) == (f"apps/{APP}/{APP}/{file}", line)
	else:
		assert failure["file"].startswith(f"apps/{APP}/{APP}/"), failure


def test_a_patch_that_ran_is_not_imported_again(site, app, tmp_path):
	app({"patches/good.py": f"open({str(tmp_path / 'ran')!r}, 'w').close()\n\n\ndef execute():\n\tpass\n"})
	assert check(site, [f"{APP}.patches.good #1"]) == [] and check(site, None) == []
	assert not (tmp_path / "ran").exists()
	assert check(site) == [] and (tmp_path / "ran").exists(), "one that has to run is"


def test_looking_changes_nothing(site, app, todo):
	write = f"import frappe\nfrappe.get_doc(dict(doctype='ToDo', description={todo.mark!r})).insert()\nfrappe.db.commit()\n"
	directory = app({"tasks.py": write + GOOD["tasks.py"]})
	(failure,) = check(site)
	assert failure["file"].endswith("tasks.py") and failure["line"] == 2, failure
	assert todo.count() == 0
	assert not list(directory.rglob("*.pyc"))


def explain(site: Site, code: str) -> str:
	lines = [
		"import sys",
		f"sys.path.insert(0, {str(site.bench / 'apps' / APP)!r})",
		"frappe.flags.in_install = 'x'",
	]
	lines += [
		"from press_deploy.site.schema import explain_failure",
		"try:",
		f"\t{code}",
		"except Exception as error:",
	]
	return site.execute("\n".join([*lines, "\tresult = explain_failure(error)", "frappe.db.rollback()"]))


def test_a_patch_that_fails_is_named_with_its_line(site, app):
	app({"patches/good.py": "import frappe\n\n\ndef execute():\n\tfrappe.throw('<b>half</b> way')\n"})
	said = explain(site, f"frappe.modules.patch_handler.execute_patch('{APP}.patches.good #1')")
	place = f"apps/{APP}/{APP}/patches/good.py, line 5"
	assert said == f"app {APP}, patch {APP}.patches.good #1, {place}: ValidationError: half way"


def test_a_file_that_cannot_be_synced_is_named(site, app):
	file = app({THING.replace(".py", ".json"): "no JSON"}) / APP / THING.replace(".py", ".json")
	said = explain(site, f"frappe.modules.import_file.import_file_by_path({str(file)!r})")
	assert said.startswith(f"app {APP}, syncing apps/{APP}/{APP}/{THING.replace('.py', '.json')}"), said
