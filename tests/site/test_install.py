"""Installing brings the runbook as a draft; uninstalling leaves nothing of the app in the database."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from pathlib import Path

import pytest

TRACES = re.compile(
	rb"press_deploy|Press Deploy|Deployment (Manager|Viewer|Plan|Run|Settings)|Rollback Event|Smoke Test"
)


def bench(site, *arguments: str) -> str:
	command = [
		site.bench / "env" / "bin" / "python",
		"-m",
		"frappe.utils.bench_helper",
		"frappe",
		"--site",
		site.name,
	]
	done = subprocess.run(
		[*command, *arguments],
		cwd=site.bench / "sites",
		env={**os.environ, "FRAPPE_STREAM_LOGGING": "0"},
		capture_output=True,
		text=True,
	)
	assert done.returncode == 0, done.stdout + done.stderr
	return done.stdout


def find_traces(site, directory: Path) -> dict[str, list[str]]:
	"""The tables of the site in which the app is mentioned, each with some of what is said there."""
	made = site.call("backup", directory=str(directory), with_files=False)
	content = gzip.decompress(Path(made["files"][0]["path"]).read_bytes())
	found: dict[str, list[str]] = {}
	for line in content.splitlines():
		insert = re.match(rb"INSERT INTO `([^`]+)`", line)
		for trace in TRACES.finditer(line) if insert else ():
			around = line[max(0, trace.start() - 60) : trace.end() + 60]
			found.setdefault(insert[1].decode(), []).append(around.decode(errors="replace"))
	return found


@pytest.fixture
def installed(site):
	yield site
	if "press_deploy" not in site.call("describe")["apps"]:
		bench(site, "install-app", "press_deploy")


def test_uninstalling_leaves_nothing_and_installing_brings_everything_back(installed, tmp_path):
	site = installed
	site.execute(
		"settings = frappe.get_single('Deployment Settings')\n"
		"settings.snapshot_token = 'dop_v1_of_a_test'\nsettings.save()"
	)
	bench(site, "uninstall-app", "press_deploy", "--yes", "--no-backup")
	assert "press_deploy" not in site.call("describe")["apps"]
	if not site.is_sqlite:
		# What Frappe itself remembers of every app that was ever there.
		remembered = {
			"tabPatch Log",
			"tabDeleted Document",
			"tabAccess Log",
			"tabError Log",
			"tabScheduled Job Log",
		}
		traces = {
			table: said for table, said in find_traces(site, tmp_path).items() if table not in remembered
		}
		assert traces == {}
	bench(site, "install-app", "press_deploy")
	assert site.execute("result = frappe.db.count('Deployment Plan')") == 1


def test_the_ready_made_plan_carries_the_runbook(site):
	plan = site.execute("result = frappe.get_doc('Deployment Plan', 'Press v16').as_spec()")
	assert [test["expected_tests"] for test in plan["critical_tests"]] == [7, None, None]
	assert [test["failfast"] for test in plan["critical_tests"]] == [False, True, True]
	assert {(change["key"], change["value"], change["scope"]) for change in plan["config"]} == {
		("server_script_enabled", True, "site"),
		("server_script_enabled", True, "common"),
	}
	assert plan["apps"][0]["expected_commit"] == "f00a724"
	assert [test["kind"] for test in plan["smoke_tests"]] == ["http", "http", "console"]
	assert "bench set-config -g press_deploy_allow_console_tests 1" in plan["objective"]
	assert {item["phase"] for item in plan["checklist"]} == {"before", "during", "after"}
	assert plan["thresholds"]["error_rate_percent"] == 5 and plan["thresholds"]["latency_ms"] == 500
	assert len(plan["timeline"]) == 14 and len(plan["people"]) == 8
	assert plan["sites"] == [{"name": site.name}]


def test_installing_twice_adds_nothing(site):
	count = "result = [frappe.db.count(d) for d in ('Role', 'Smoke Test', 'Deployment Plan')]"
	before = site.execute(count)
	site.execute("from press_deploy.site.install import after_install\nafter_install()")
	assert site.execute(count) == before


WITHOUT_PLAN = """
from unittest import mock
from press_deploy.site import install, runners

def count():
	return [frappe.db.count('Deployment Plan', 'Press v16'), frappe.db.count('ToDo', {'description': 'half a plan'})]

def break_off():
	frappe.get_doc({'doctype': 'ToDo', 'description': 'half a plan'}).insert()
	raise OSError('there is no config directory')

frappe.delete_doc('Deployment Plan', 'Press v16', force=True)
frappe.db.delete('DefaultValue', {'defkey': install.COMPLETED})
frappe.clear_cache()
"""


def test_an_installation_that_fails_is_completed_by_the_next_migrate(site):
	try:
		found = site.execute(
			f"{WITHOUT_PLAN}\n"
			"with mock.patch.dict(install.PARTS, {'the plan Press v16': break_off}):\n"
			"	install.after_install()\n"
			"result = [frappe.db.count('Role', {'name': ('in', install.ROLES)}), count()]\n"
			"install.after_migrate()\n"
			"result.append(count())\n"
			"frappe.delete_doc('Deployment Plan', 'Press v16', force=True)\n"
			"install.after_migrate()\n"
			"result.append(count())\n"
		)
	finally:
		site.execute("from press_deploy.site.install import add_ready_made_plan\nadd_ready_made_plan()")
	# The roles and nothing of a plan; then the plan; and what a person removed does not come back.
	assert found == [2, [0, 0], [1, 0], [0, 0]]


def test_it_is_installed_on_a_bench_that_lacks_directories(site, tmp_path):
	assert site.execute(
		f"{WITHOUT_PLAN}\n"
		f"with mock.patch.object(runners, 'get_bench_path', lambda: {str(tmp_path)!r}):\n"
		"	install.after_install()\n"
		"	frappe.get_single('Deployment Settings').last_proof\n"
		"result = count()\n"
	) == [1, 0]


def test_a_site_of_before_is_not_taken_for_an_unfinished_one(site):
	assert (
		site.execute(
			"from press_deploy.site import install\n"
			"frappe.db.delete('DefaultValue', {'defkey': install.COMPLETED})\n"
			"frappe.clear_cache()\n"
			"result = sorted(install._read_completed()) == sorted(install.PARTS)\n"
			"frappe.db.rollback()"
		)
		is True
	)


# As a web server at work remembers it from before the app was there.
STALE = """
from press_deploy.site import caches, install
stale = {'frappe': ['core', 'desk']}
for key in ('app_modules', 'installed_app_modules'):
	frappe.cache.set_value(key, stale)
	getattr(frappe, 'client_cache', frappe.cache).set_value(key, stale)
frappe.cache.set_value('all_apps', ['frappe'])

def sees_the_app():
	seen = []
	for every_app in (True, False):
		frappe.setup_module_map(include_all_apps=every_app)
		seen.append(frappe.local.module_app.get('press_deploy'))
	return seen

result = [sees_the_app()]
"""


def test_desk_finds_the_module_at_once(site):
	for remedy in ("install.before_install()", "install.after_sync()", "caches.clear_cache()"):
		before, after = site.execute(f"{STALE}\n{remedy}\nresult.append(sees_the_app())")
		assert before == [None, None], "it was not forgotten in the first place"
		assert after == ["press_deploy", "press_deploy"], remedy
