"""What runs code as the bench's user is refused in plans of Desk until the shell user allows it, exactly so."""

import json
from types import SimpleNamespace

import pytest

from press_deploy.engine.bench.allowances import (
	BOOT_CHECK,
	CONFIG_KEYS,
	CONSOLE_TESTS,
	COPY_SOURCES,
	SITES,
	find_forbidden,
	is_own_file,
)
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.steps.preflight.code import check_copy_sources
from press_deploy.engine.steps.preflight.plan import check_allowances

from .support import SHA256, SITE, make_bench, make_spec

CONSOLE = {"kind": "console", "name": "Count", "code": "import os"}
# What a shell user may well write without meaning yes.
NOT_YES = [None, 0, False, "0", "1", "true", "yes", 2, 1.0, [], [True], {}]


@pytest.fixture
def bench(tmp_path):
	return Bench(make_bench(tmp_path / "bench"))


@pytest.fixture
def allow(bench):
	def write(**keys):
		bench.common_config.write_text(json.dumps(keys))

	return write


def console(**fields):
	return make_spec(smoke_tests=[{"kind": "http", "name": "Ping", "path": "/"}, CONSOLE], **fields)


def boot():
	return make_spec(backup={"boot_check": "import os"})


def config(*keys):
	return make_spec(config=[{"key": key, "value": True} for key in keys])


def copied(source, *paths, host=None):
	files = [{"path": path, "sha256": SHA256} for path in paths or ("a.py",)]
	app = {"name": "shop", "method": "copy", "source": str(source), "files": files, "ssh_host": host}
	return make_spec(apps=[app])


def fields(bench, spec):
	return [error.field for error in find_forbidden(bench, spec)]


def test_an_ordinary_plan_needs_no_allowance(bench):
	assert fields(bench, make_spec(config=[{"key": "k", "value": 1}])) == []


SWITCHES = [
	(CONSOLE_TESTS, console, "smoke_tests.1.smoke_test"),
	(BOOT_CHECK, boot, "backup.boot_check"),
]


@pytest.mark.parametrize("key,make,field", SWITCHES)
def test_code_is_off_until_it_is_allowed(bench, allow, key, make, field):
	(error,) = find_forbidden(bench, make())
	assert error.field == field and f"`bench set-config -g {key} 1`" in error.remedy
	for value in (True, 1):
		allow(**{key: value})
		assert fields(bench, make()) == []


@pytest.mark.parametrize("value", NOT_YES)
@pytest.mark.parametrize("key,make,field", SWITCHES)
def test_nothing_else_than_yes_is_yes(bench, allow, key, make, field, value):
	allow(**{key: value})
	assert fields(bench, make()) == [field]


def test_one_key_does_not_stand_for_another(bench, allow):
	allow(**{CONSOLE_TESTS: 1})
	assert fields(bench, boot()) == ["backup.boot_check"]
	allow(**{BOOT_CHECK: 1})
	assert fields(bench, console()) == ["smoke_tests.1.smoke_test"]


def test_a_site_s_own_configuration_switches_nothing_on(bench):
	everything = {CONSOLE_TESTS: 1, BOOT_CHECK: 1, COPY_SOURCES: ["/"], CONFIG_KEYS: ["developer_mode"]}
	bench.site_config(SITE).write_text(json.dumps(everything))
	assert fields(bench, console(config=[{"key": "developer_mode", "value": 1}])) == [
		"smoke_tests.1.smoke_test",
		"config.0.key",
	]
	assert fields(bench, boot()) and fields(bench, copied("/srv"))


@pytest.mark.parametrize(
	"key", [CONSOLE_TESTS, BOOT_CHECK, COPY_SOURCES, CONFIG_KEYS, "press_deploy_allow_x"]
)
@pytest.mark.parametrize("scope", ["site", "common"])
def test_no_plan_switches_it_on(key, scope):
	with pytest.raises(InputError, match="it says what plans may do"):
		make_spec(config=[{"key": key, "value": 1, "scope": scope}])


@pytest.mark.parametrize(
	"key",
	[
		"server_script_enabled",
		"developer_mode",
		"redis_cache",
		"redis_queue",
		"rq_username",
		"root_login",
		"workers",
	],
)
def test_a_key_that_leads_to_code_is_named_by_the_shell_user(bench, allow, key):
	(error,) = find_forbidden(bench, config("harmless", key))
	assert error.field == "config.1.key" and f"-p {CONFIG_KEYS} \"['{key}']\"`" in error.remedy
	for value in (1, True, key, [1], {key: 1}, [f"{key} "], [key.upper()]):
		allow(**{CONFIG_KEYS: value})
		assert fields(bench, config("harmless", key)) == ["config.1.key"], value
	allow(**{CONFIG_KEYS: ["other", key]})
	assert fields(bench, config("harmless", key)) == []


def test_files_are_copied_from_allowed_directories_only(bench, allow, tmp_path):
	(tmp_path / "releases" / "one").mkdir(parents=True)
	source = tmp_path / "releases" / "one"
	assert fields(bench, copied(source)) == ["apps.0.source"]
	for value in (
		1,
		str(source),
		[str(source) + "x"],
		[str(source)[:-1]],
		["releases"],
		[f"{source}/../two"],
		[""],
	):
		allow(**{COPY_SOURCES: value})
		assert fields(bench, copied(source)) == ["apps.0.source"], value
	for value in (source, source.parent, "/"):
		allow(**{COPY_SOURCES: ["/elsewhere", str(value)]})
		assert fields(bench, copied(source)) == []


def test_links_lead_out_of_no_allowed_directory(bench, allow, tmp_path):
	allowed, outside = tmp_path / "allowed", tmp_path / "outside"
	allowed.mkdir(), outside.mkdir()
	(outside / "a.py").write_text("")
	(allowed / "link").symlink_to(outside)
	(allowed / "b.py").symlink_to(outside / "a.py")
	(allowed / "loop").symlink_to(allowed / "loop")
	(tmp_path / "way").symlink_to(allowed)
	allow(**{COPY_SOURCES: [str(allowed)]})
	for source, path in (
		(allowed / "link", "a.py"),
		(allowed, "link/a.py"),
		(allowed, "b.py"),
		(allowed / "loop", "a"),
	):
		assert fields(bench, copied(source, path)) == ["apps.0.source"], path
	assert fields(bench, copied(allowed, "c.py", "b.py")) == ["apps.0.source"]
	assert fields(bench, copied(tmp_path / "way", "c.py")) == []
	allow(**{COPY_SOURCES: [str(tmp_path / "way")]})
	assert fields(bench, copied(allowed, "c.py")) == []


def test_uploads_are_never_copied_whatever_is_allowed(bench, allow, tmp_path):
	disk = tmp_path / "disk" / "uploads"
	disk.mkdir(parents=True)
	private = bench.site(SITE) / "private"
	private.mkdir()
	(private / "files").symlink_to(disk)
	(tmp_path / "innocent").symlink_to(bench.site(SITE))
	(tmp_path / "file.py").symlink_to(disk / "evil.py")
	allow(**{COPY_SOURCES: ["/", str(tmp_path), str(disk), str(private / "files")]})
	for source, path in (
		(private / "files", "evil.py"),
		(disk, "evil.py"),
		(tmp_path / "disk", "uploads/evil.py"),
		(tmp_path / "innocent", "x"),
		(tmp_path, "file.py"),
		(bench.sites_directory, "new.example/private/files/evil.py"),
	):
		(error,) = find_forbidden(bench, copied(source, path))
		assert "site's directory" in error.why, (source, path)


def test_hosts_are_allowed_by_name_or_with_a_directory(bench, allow):
	host = "build@ci.example"
	for value in (
		[],
		["ci.example"],
		["/srv"],
		["other@ci.example"],
		[f"{host}:/srv/old"],
		[f"{host}:srv"],
		host,
	):
		allow(**{COPY_SOURCES: value})
		assert fields(bench, copied("/srv/new", host=host)) == ["apps.0.source"], value
	for value in ([host], [f"{host}:/srv"], [f"{host}:/srv/new"]):
		allow(**{COPY_SOURCES: value})
		assert fields(bench, copied("/srv/new", host=host)) == [], value
	allow(**{COPY_SOURCES: [host]})
	assert fields(bench, copied("/srv/new")) == ["apps.0.source"]


def test_the_command_keeps_what_is_allowed_already(bench, allow):
	allow(**{COPY_SOURCES: ["/srv/a"]})
	(error,) = find_forbidden(bench, copied("/srv/b"))
	assert "bench set-config -g -p press_deploy_copy_sources \"['/srv/a', '/srv/b']\"`" in error.remedy


# --- in the engine, where no database has a say -----------------------------------------------------------


def ask(check, bench, spec, by_shell):
	"""What a check of preflight says of this plan."""
	state = SimpleNamespace(by_shell=by_shell, dry_run=False)
	apps = [app for app in spec.apps if app.method == "copy"]
	ports = SimpleNamespace(code=SimpleNamespace(copied_apps=lambda: apps))
	return list(check(SimpleNamespace(bench=bench, spec=spec, state=state), ports))


def test_preflight_asks_again(bench, allow):
	(check,) = ask(check_allowances, bench, console(), False)
	assert check.outcome == "failed" and "press_deploy_allow_console_tests" in check.remedy
	allow(**{CONSOLE_TESTS: 1})
	(check,) = ask(check_allowances, bench, console(), False)
	assert check.outcome == "ok"


def test_the_shell_user_s_own_run_needs_no_allowance(bench):
	(check,) = ask(check_allowances, bench, console(), True)
	assert check.outcome == "ok"


def test_nothing_is_told_of_a_source_that_is_not_allowed(bench, tmp_path):
	(tmp_path / "a.py").write_text("secret")
	assert ask(check_copy_sources, bench, copied(tmp_path), False) == []


def test_a_file_of_the_shell_user_is_told_from_those_of_desk(bench, tmp_path):
	run, site = bench.deployments / "r", bench.site(SITE)
	for directory in (run, tmp_path / "own"):
		directory.mkdir(parents=True)
	(tmp_path / "own" / "link.json").symlink_to(run / "plan.json")
	assert is_own_file(bench, tmp_path / "own" / "plan.json")
	for foreign in (
		run / "plan.json",
		site / "private" / "files" / "plan.json",
		bench.sites_directory / "plan.json",
		tmp_path / "own" / "link.json",
		run / ".." / "r" / "plan.json",
	):
		assert not is_own_file(bench, foreign), foreign


OTHER, THIRD = "other.example", "third.example"


def spanning(own=SITE, sites=(SITE, OTHER), test_site=None):
	tests = {"critical_tests": [{"module": "shop.tests"}], "test_site": test_site} if test_site else {}
	return make_spec(control_site=own, sites=[{"name": name} for name in sites], **tests)


def test_another_site_is_out_of_reach_until_both_are_named_together(bench, allow):
	first, second = find_forbidden(bench, spanning(test_site=THIRD))
	assert (first.field, second.field) == ("sites.1.site", "test_site")
	command = f"bench set-config -g -p {SITES} \"['{SITE}', '{OTHER}', '{THIRD}']\""
	assert command in first.remedy and command in second.remedy
	for named in ([OTHER, THIRD], [SITE], [f"{SITE} {OTHER}", THIRD], OTHER, {SITE: OTHER}):
		allow(**{SITES: named})
		assert fields(bench, spanning(test_site=THIRD)) == ["sites.1.site", "test_site"]
	allow(**{SITES: [SITE, OTHER]})
	assert fields(bench, spanning(test_site=THIRD)) == ["test_site"]
	allow(**{SITES: [SITE, OTHER, THIRD]})
	assert fields(bench, spanning(test_site=THIRD)) == []
	# Those two belong together, and this one not to them.
	allow(**{SITES: [OTHER, THIRD]})
	assert fields(bench, spanning(sites=(OTHER,))) == ["sites.0.site"]


def test_a_plan_of_one_s_own_site_or_of_no_desk_reaches_what_it_names(bench):
	assert fields(bench, spanning(sites=(SITE,))) == []
	assert fields(bench, spanning(own=None)) == []


@pytest.mark.parametrize("key", [CONSOLE_TESTS, BOOT_CHECK, COPY_SOURCES, CONFIG_KEYS, SITES])
def test_no_plan_sets_what_plans_are_allowed(key):
	with pytest.raises(InputError, match="set it by hand"):
		make_spec(config=[{"key": key, "value": [SITE, OTHER], "scope": "common"}])


def test_a_key_for_every_site_is_for_sites_that_belong_together(bench, allow):
	def common(own=SITE):
		change = {"key": "host_name", "value": "https://shop.example", "scope": "common"}
		return make_spec(control_site=own, config=[change])

	assert fields(bench, common()) == [], "there is no other site"
	(bench.path / "sites" / OTHER).mkdir()
	(bench.path / "sites" / OTHER / "site_config.json").write_text("{}")
	(error,) = find_forbidden(bench, common())
	assert error.field == "config.0.key" and "every site" in error.why and CONFIG_KEYS in error.remedy
	assert fields(bench, common(own=None)) == []
	for allowed in ({SITES: [SITE, OTHER]}, {CONFIG_KEYS: ["host_name"]}):
		allow(**allowed)
		assert fields(bench, common()) == []
