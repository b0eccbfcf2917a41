"""The door itself: what it lets in, and what it answers."""

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.ground.errors import SiteProcessFailed
from tests.site.real_site import TaskFailed

LIMIT_SECONDS = 120


def test_describe(site):
	about = site.call("describe")
	assert about["framework"].startswith("frappe ")
	assert {"frappe", "press_deploy"} <= set(about["apps"])
	assert isinstance(about["scheduler_disabled"], bool)


@pytest.mark.parametrize("task", ["nonsense", "", "__class__", "describe ", "../describe"])
def test_unknown_tasks(site, task):
	with pytest.raises(TaskFailed, match="it is unknown"):
		site.call(task)


@pytest.mark.parametrize("name", ["nowhere.localhost", "../sites", "-x", "", "a\nb", "assets"])
def test_unknown_sites(site, name):
	other = type(site)(site.bench, name)
	with pytest.raises(TaskFailed, match="field “site”"):
		other.call("describe")


@pytest.mark.parametrize("arguments", [{"x": 1}, {"directory": "/tmp", "with_files": True, "x": 1}, {}])
def test_wrong_arguments(site, arguments):
	with pytest.raises(TaskFailed, match="field “arguments”"):
		site.call("backup", **arguments)


def test_it_works_in_maintenance(site):
	config = site.path / "site_config.json"
	before = config.read_text()
	try:
		config.write_text(before.replace("{", '{"maintenance_mode": 1, ', 1))
		assert site.call("describe")["apps"]
		# Others' jobs may wait here, or be at work where the bench has workers.
		assert not [
			job for job in site.call("drain", run="a-run", seconds=60)["jobs"] if job["state"] != "waiting"
		]
		assert site.call("release_workers", run="a-run") == {"released": True}
	finally:
		config.write_text(before)


def test_caches_are_forgotten(site):
	site.execute("frappe.cache.set_value('app_hooks', {'stale': ['yes']})")
	assert site.call("clear_cache") == {}
	assert site.execute("result = 'stale' in frappe.get_hooks()") is False


def test_one_process_serves_several_sites_one_after_the_other(site):
	processes = SiteProcesses(Bench.open(site.bench), Programs())
	with pytest.raises(SiteProcessFailed, match=r"clear_cache on nowhere\.localhost"):
		processes.call_each("clear_cache", [site.name, "nowhere.localhost"], timeout=LIMIT_SECONDS)
	site.execute("frappe.cache.set_value('app_hooks', {'stale': ['yes']})")
	twice = [site.name, site.name]
	assert processes.call_each("clear_cache", twice, timeout=LIMIT_SECONDS) == {site.name: {}}
	assert site.execute("result = 'stale' in frappe.get_hooks()") is False
