"""Critical tests: counted, never guessed; what they change is put back, what they leave behind is said."""

import json
import shutil
import time
from pathlib import Path

import pytest

from tests.site.real_site import TaskFailed

# Inside the app, for only apps are tested; by names that Frappe's own runner does not collect.
PACKAGE = "press_deploy.site_test_samples"
HEAD = "import sys, time, unittest\nimport frappe\n\n\nclass TestSample(unittest.TestCase):\n"
SAMPLES = {
	"good": "def test_one(self): pass\ndef test_two(self): pass",
	"skips": "def test_one(self): pass\n@unittest.skip('x')\ndef test_two(self): pass",
	"only_skips": "@unittest.skip('x')\ndef test_one(self): pass",
	"fails": "def test_one(self): pass\ndef test_two(self): self.fail('on purpose')",
	"breaks": "def test_one(self): raise ValueError('on purpose')",
	"exits": "def test_one(self): sys.exit(0)",
	"exits_early": "@classmethod\ndef setUpClass(cls): sys.exit(0)\ndef test_one(self): pass",
	"surprises": "@unittest.expectedFailure\ndef test_one(self): pass",
	"hangs": "def test_one(self): time.sleep(60)",
	"settings": (
		"def test_one(self):\n"
		"\tfrom frappe.installer import update_site_config\n"
		"\tupdate_site_config('allow_tests', 'changed')\n"
		"\tfrappe.db.set_single_value('System Settings', 'enable_scheduler', 0)\n"
		"\tfrappe.db.commit()"
	),
	"users": (
		"def test_one(self):\n"
		"\tfrappe.get_doc(dict(doctype='User', email='left-behind@example.com', first_name='x', send_welcome_email=0,"
		" roles=[dict(role='System Manager')])).insert(ignore_permissions=True)\n"
		"\tfrappe.get_doc(dict(doctype='ToDo', description='press_deploy site test')).insert()\n"
		"\tfrappe.db.commit()"
	),
}


@pytest.fixture(scope="module", autouse=True)
def samples():
	directory = Path(__file__).parents[2] / "press_deploy" / "site_test_samples"
	directory.mkdir(exist_ok=True)
	(directory / "__init__.py").touch()
	(directory / ".gitignore").write_text("*\n")
	for name, body in SAMPLES.items():
		lines = "\n".join("\t" + line for line in body.splitlines())
		(directory / f"sample_{name}.py").write_text(HEAD + lines + "\n")
	(directory / "sample_broken.py").write_text("import nonsense_module\n")
	(directory / "sample_empty.py").write_text("")
	yield directory
	shutil.rmtree(directory)


def run(site, name, **options):
	return site.call("run_tests", module=f"{PACKAGE}.sample_{name}", **options)


def settings_of(site):
	scheduler = site.execute(
		"result = frappe.db.sql(\"select value from tabSingles where doctype='System Settings'"
		" and field='enable_scheduler'\")"
	)
	return site.config.get("allow_tests", "absent"), scheduler


@pytest.mark.parametrize(
	("name", "ran", "skipped", "failures", "errors"),
	[
		("good", 2, 0, 0, 0),
		("skips", 1, 1, 0, 0),
		("fails", 2, 0, 1, 0),
		("breaks", 1, 0, 0, 1),
		("exits", 1, 0, 0, 1),
		("surprises", 1, 0, 1, 0),
	],
)
def test_counts(site, name, ran, skipped, failures, errors):
	outcome = run(site, name)
	found = outcome["ran"], outcome["skipped"], len(outcome["failures"]), len(outcome["errors"])
	assert found == (ran, skipped, failures, errors)
	assert outcome["problem"] is None
	assert outcome["seconds"] > 0


@pytest.mark.parametrize("name", ["broken", "empty", "only_skips", "exits_early", "absent"])
def test_what_did_not_run_has_not_passed(site, name):
	outcome = run(site, name)
	assert outcome["ran"] == 0
	assert outcome["problem"]


def test_failfast_stops(site):
	assert run(site, "fails", failfast=True)["ran"] <= 2
	assert len(run(site, "fails", failfast=True)["failures"]) == 1


def test_messages_hold_the_reason(site):
	(failure,) = run(site, "fails")["failures"]
	assert failure["test"].endswith("TestSample.test_two")
	assert "on purpose" in failure["message"]


def set_settings(site, allow_tests, scheduler):
	path = site.path / "site_config.json"
	config = {key: value for key, value in site.config.items() if key != "allow_tests"}
	path.write_text(json.dumps({**config, **allow_tests}, indent=1, sort_keys=True))
	rows = "".join(
		f"frappe.db.sql(\"insert into tabSingles (doctype, field, value) values ('System Settings',"
		f" 'enable_scheduler', '{value}')\")\n"
		for value in scheduler
	)
	site.execute(
		"frappe.db.sql(\"delete from tabSingles where doctype='System Settings' and field='enable_scheduler'\")\n"
		+ rows
		+ "frappe.clear_cache()"
	)


@pytest.fixture
def kept_settings(site):
	allow_tests, scheduler = settings_of(site)
	yield
	kept = {} if allow_tests == "absent" else {"allow_tests": allow_tests}
	set_settings(site, kept, [value for (value,) in scheduler])


@pytest.mark.parametrize(
	("allow_tests", "scheduler"),
	[
		({}, []),
		({}, ["1"]),
		({"allow_tests": False}, ["0"]),
		({"allow_tests": 1}, ["1"]),
		({"allow_tests": "0"}, []),
	],
)
@pytest.mark.parametrize("name", ["settings", "exits_early"])
def test_settings_come_back_absence_included(site, kept_settings, allow_tests, scheduler, name):
	set_settings(site, allow_tests, scheduler)
	before = settings_of(site)
	run(site, name)
	assert settings_of(site) == before
	assert site.call("repair_tests") == {"repaired": False}


@pytest.mark.parametrize("scheduler", [[], ["1"]])
def test_a_killed_run_is_repaired(site, kept_settings, scheduler):
	set_settings(site, {}, scheduler)
	before = settings_of(site)
	process = site.start("run_tests", module=f"{PACKAGE}.sample_hangs")
	marker = site.path / "private" / "press_deploy_tests.json"
	while not marker.exists():
		assert process.poll() is None, process.stdout.read()
		time.sleep(0.05)
	time.sleep(2)
	process.kill()
	process.wait()
	assert marker.stat().st_mode & 0o777 == 0o600
	site.execute("frappe.db.set_single_value('System Settings', 'enable_scheduler', 0)")
	assert site.call("repair_tests") == {"repaired": True}
	assert settings_of(site) == before
	assert not marker.exists()


@pytest.fixture
def no_user(site):
	remove = "frappe.delete_doc('User', 'left-behind@example.com', force=True, ignore_missing=True)"
	site.execute(remove)
	yield
	site.execute(remove)


@pytest.mark.parametrize("production", [True, False])
def test_what_tests_leave_behind_is_said(site, todo, no_user, production):
	outcome = run(site, "users", production=production)
	left, user = outcome["left_behind"], "left-behind@example.com"
	assert outcome["errors"] == []
	assert left["users_created"] == [user] and left["system_managers"] == [user]
	assert f"{user}: System Manager" in left["roles_granted"]
	assert left["rows"]["User"] == 1 and left["rows"]["ToDo"] == 1
	assert outcome["users_disabled"] == ([user] if production else [])
	enabled = site.execute(f"result = frappe.db.get_value('User', {user!r}, 'enabled')")
	assert enabled == (0 if production else 1)


@pytest.mark.parametrize(
	("target", "problem"),
	[
		({"module": f"{PACKAGE}.sample_good"}, None),
		({"module": f"{PACKAGE}.sample_broken"}, None),
		({"module": f"{PACKAGE}.sample_absent"}, "is not on the bench"),
		({"module": "nonsense.test_x"}, "is not installed"),
		({"doctype": "Deployment Plan"}, None),
		({"doctype": "Nonsense"}, "does not exist"),
		({"app": "press_deploy"}, None),
		({"app": "nonsense"}, "is not installed"),
	],
)
def test_targets_are_checked_without_importing_them(site, target, problem):
	found = site.call("check_tests", **target)["problem"]
	assert found is None if problem is None else problem in found


@pytest.mark.parametrize(
	"target",
	[
		{},
		{"app": "frappe", "module": "frappe.x"},
		{"module": "a;b"},
		{"module": "../x"},
		{"app": "Frappe"},
		{"doctype": "a\nb"},
	],
)
def test_wrong_targets(site, target):
	for task in ("check_tests", "run_tests"):
		with pytest.raises(TaskFailed, match="Reading field"):
			site.call(task, **target)
