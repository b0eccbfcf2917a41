"""What the fields of a plan refuse: for each how a value gets into a plan, and values that are wrong in it."""

from press_deploy.engine.plan.spec import CONSENT

from .support import HOSTILE_TEXT, MINIMAL, SHA256, WRONG_TYPES

COPY = {"name": "shop", "method": "copy", "source": "/srv/new", "files": [{"path": "a.py", "sha256": SHA256}]}
HTTP = {"kind": "http", "name": "Ping", "path": "/api/method/ping"}
CONSOLE = {"kind": "console", "name": "Count", "code": "1"}
TEST = {"module": "shop.test_shop"}
WINDOW = {"start": "2030-01-01T20:00Z", "end": "2030-01-01T22:00Z"}
WITH_TESTS = {"critical_tests": [TEST], "test_site": "test.example"}

NO_TEXT = [value for value in WRONG_TYPES if value is not None]
NO_NUMBER = ["5", "", None, True, False, [1], {}, "; rm"]
NO_BOOL = ["true", 1, 0, None, [], "; rm"]
NO_CHOICE = ["", "AUTO", "; rm", "--upload-pack=x", "../../x", True, None, 1, [], "a\0", "x" * 100_000]
NO_LINE = ["a\nb", "a\0b", "a\x1b[0m", "x" * 141, "x" * 900_000, *NO_TEXT]
NO_LIST = ["x", 1, True, None, {"a": 1}]
NO_NAME = [*HOSTILE_TEXT, *NO_TEXT]


def app(**fields):
	return {"apps": [{**MINIMAL["apps"][0], **fields}]}


def copied(**fields):
	return {"apps": [{**COPY, **fields}]}


def http(**fields):
	return {"smoke_tests": [{**HTTP, **fields}]}


def console(**fields):
	return {"smoke_tests": [{**CONSOLE, **fields}]}


def critical_test(**fields):
	return {"critical_tests": [{**TEST, **fields}], "test_site": "test.example"}


def part(place, **fields):
	return {place: fields}


def first(place, base, **fields):
	return {place: [{**base, **fields}]}


ITEM, MILESTONE = {"item": "Look"}, {"minute": 1, "phase": "Deployment", "action": "Look"}
PERSON, CHANGE = {"role": "Admin"}, {"key": "a", "value": 1}

# field → (how a value gets into a plan, values that are refused)
FIELDS = {
	"schema_version": (lambda value: {"schema_version": value}, [0, 2, True, 1.0, "1", None]),
	"title": (lambda value: {"title": value}, ["", None, *NO_LINE]),
	"objective": (lambda value: {"objective": value}, ["a\0", "x" * 10_001, None, *NO_TEXT]),
	"approved_by": (lambda value: {"approved_by": value}, NO_LINE),
	"sites": (lambda value: {"sites": value}, [[], *NO_LIST, [MINIMAL["sites"][0]] * 501]),
	"sites.0": (lambda value: {"sites": [value]}, ["shop.example", 1, None, ["a"]]),
	"sites.0.name": (lambda value: {"sites": [{"name": value}]}, [None, *NO_NAME]),
	"sites.0.public_url": (
		lambda value: {"sites": [{"name": "a", "public_url": value}]},
		["http://a/../b", "file:///etc/passwd", "http://u:p@a", "http://a#", *NO_NAME],
	),
	"control_site": (lambda value: {"control_site": value}, NO_NAME),
	"apps": (lambda value: {"apps": value}, NO_LIST),
	"apps.0.name": (lambda value: app(name=value), [None, "Shop", *NO_NAME]),
	"apps.0.method": (lambda value: app(method=value), NO_CHOICE),
	"apps.0.remote": (lambda value: app(remote=value), [None, "ext::sh", "https://evil/x.git", *NO_NAME]),
	"apps.0.ref": (lambda value: app(ref=value), ["main:evil", "+main", "a..b", *NO_NAME]),
	"apps.0.expected_commit": (lambda value: app(expected_commit=value), ["main", "ABCDEF01", *NO_NAME]),
	"apps.0.source": (lambda value: copied(source=value), ["rel/ative", "/a/../b", "/", *NO_NAME]),
	"apps.0.ssh_host": (lambda value: copied(ssh_host=value), ["-oProxyCommand=x", "a:b", *NO_NAME]),
	"apps.0.files": (lambda value: copied(files=value), NO_LIST),
	"apps.0.files.0.path": (
		lambda value: copied(files=[{"path": value, "sha256": SHA256}]),
		[None, "/etc/passwd", ".", "a/../../b", ".git/hooks/x", "a/.git/x", *NO_NAME],
	),
	"apps.0.files.0.sha256": (
		lambda value: copied(files=[{"path": "a", "sha256": value}]),
		[None, "0" * 63, *NO_NAME],
	),
	"config": (lambda value: {"config": value}, [*NO_LIST, [CHANGE] * 201]),
	"config.0.key": (
		lambda value: first("config", CHANGE, key=value),
		[None, "maintenance_mode", "pause_scheduler", "db_name", "allow_tests", *NO_NAME],
	),
	"config.0.scope": (lambda value: first("config", CHANGE, scope=value), NO_CHOICE),
	"requirements": (lambda value: {"requirements": value}, NO_CHOICE),
	"build": (lambda value: {"build": value}, NO_CHOICE),
	"migrate": (lambda value: {"migrate": value}, NO_CHOICE),
	"backup": (lambda value: {"backup": value}, ["x", 1, None, []]),
	"backup.with_files": (lambda value: part("backup", with_files=value), NO_BOOL),
	"backup.safe_directory": (
		lambda value: part("backup", safe_directory=value),
		["a", "/", "/a/..", *NO_NAME],
	),
	"backup.method": (lambda value: part("backup", method=value), NO_CHOICE),
	"backup.required_rung": (
		lambda value: part("backup", required_rung=value),
		[0, 6, *[value for value in NO_NUMBER if value is not None]],
	),
	"backup.boot_check": (
		lambda value: part("backup", boot_check=value),
		["assert (", "a\0", "x" * 10_001, None, *NO_TEXT],
	),
	"backup.safe_places": (
		lambda value: part("backup", safe_places=value),
		NO_LIST,
	),
	"backup.snapshot": (lambda value: part("backup", snapshot=value), ["x", 1, []]),
	"backup.config_secrets": (lambda value: part("backup", config_secrets=value), NO_CHOICE),
	"backup.retention_days": (lambda value: part("backup", retention_days=value), [0, 3651, *NO_NUMBER]),
	"backup.automatic_rollback": (lambda value: part("backup", automatic_rollback=value), NO_BOOL),
	"backup.minimum_free_percent": (
		lambda value: part("backup", minimum_free_percent=value),
		[-1, 101, *NO_NUMBER],
	),
	"critical_tests": (lambda value: {**WITH_TESTS, "critical_tests": value}, NO_LIST),
	"critical_tests.0.app": (lambda value: critical_test(module=None, app=value), NO_NAME),
	"critical_tests.0.module": (lambda value: critical_test(module=value), NO_NAME),
	"critical_tests.0.doctype": (lambda value: critical_test(module=None, doctype=value), NO_LINE),
	"critical_tests.0.expected_tests": (
		lambda value: critical_test(expected_tests=value),
		[0, -1, 1.5, 10**30, *[value for value in NO_NUMBER if value is not None]],
	),
	"critical_tests.0.failfast": (lambda value: critical_test(failfast=value), NO_BOOL),
	"critical_tests.0.timeout_seconds": (
		lambda value: critical_test(timeout_seconds=value),
		[0, 7201, *NO_NUMBER],
	),
	"test_site": (lambda value: {"test_site": value}, NO_NAME),
	"production_test_consent": (lambda value: {"production_test_consent": value}, NO_LINE),
	"smoke_tests": (lambda value: {"smoke_tests": value}, NO_LIST),
	"smoke_tests.0": (lambda value: {"smoke_tests": [value]}, [None, "x", {}, {**HTTP, "kind": "ftp"}]),
	"smoke_tests.0.http.name": (lambda value: http(name=value), [None, *NO_LINE]),
	"smoke_tests.0.http.method": (lambda value: http(method=value), ["DELETE", "get", *NO_CHOICE]),
	"smoke_tests.0.http.path": (
		lambda value: http(path=value),
		[
			None,
			"http://evil.example/",
			"//evil.example",
			"ping",
			"/\\evil",
			"/a b",
			"/a\nHost: evil",
			*NO_NAME,
		],
	),
	"smoke_tests.0.http.headers": (lambda value: http(headers=value), ["x", 1, None, []]),
	"smoke_tests.0.http.headers.Accept": (lambda value: http(headers={"Accept": value}), [None, *NO_LINE]),
	"smoke_tests.0.http.expected_status": (
		lambda value: http(expected_status=value),
		[99, 600, 200.5, *NO_NUMBER],
	),
	"smoke_tests.0.http.expected_text": (
		lambda value: http(expected_text=value),
		["a\0", "x" * 10_001, *NO_TEXT],
	),
	"smoke_tests.0.http.expected_json": (lambda value: http(expected_json=value), [["x" * 10_001]]),
	"smoke_tests.0.http.maximum_latency_ms": (
		lambda value: http(maximum_latency_ms=value),
		[0, -1, 1e9, *[value for value in NO_NUMBER if value is not None]],
	),
	"smoke_tests.0.console.code": (
		lambda value: console(code=value),
		["", "assert (", "if 1:\nx", "(" * 5000, "a\0", "x" * 10_001, None, *NO_TEXT],
	),
	"smoke_tests.0.console.timeout_seconds": (
		lambda value: console(timeout_seconds=value),
		[0, 601, *NO_NUMBER],
	),
	"checklist": (lambda value: {"checklist": value}, NO_LIST),
	"checklist.0.phase": (lambda value: first("checklist", ITEM, phase=value), NO_CHOICE),
	"checklist.0.item": (lambda value: first("checklist", ITEM, item=value), [None, *NO_LINE]),
	"checklist.0.mandatory": (lambda value: first("checklist", ITEM, mandatory=value), NO_BOOL),
	"checklist.0.done": (lambda value: first("checklist", ITEM, done=value), NO_BOOL),
	"checklist.0.done_by": (lambda value: first("checklist", ITEM, done_by=value), NO_LINE),
	"window": (lambda value: {"window": value}, ["x", 1, [], {**WINDOW, "end": WINDOW["start"]}]),
	"window.start": (
		lambda value: {"window": {**WINDOW, "start": value}},
		["2030-01-01T20:00", "2030-01-01", "tomorrow", "0", "1767225600", 0, 1.5, True, None, "; rm", []],
	),
	"thresholds.error_rate_percent": (
		lambda value: part("thresholds", error_rate_percent=value),
		[-1, 101, *NO_NUMBER],
	),
	"thresholds.latency_ms": (lambda value: part("thresholds", latency_ms=value), [0, -1, 1e9, *NO_NUMBER]),
	"thresholds.latency_degraded_percent": (
		lambda value: part("thresholds", latency_degraded_percent=value),
		[0, 1e5, *NO_NUMBER],
	),
	"thresholds.new_log_errors": (
		lambda value: part("thresholds", new_log_errors=value),
		[-1, 1.5, 10**30, *NO_NUMBER],
	),
	"thresholds.cpu_percent": (lambda value: part("thresholds", cpu_percent=value), [-1, 101, *NO_NUMBER]),
	"thresholds.memory_percent": (
		lambda value: part("thresholds", memory_percent=value),
		[-1, 101, *NO_NUMBER],
	),
	"thresholds.database_connections": (
		lambda value: part("thresholds", database_connections=value),
		[0, 10**30, *[value for value in NO_NUMBER if value is not None]],
	),
	"triggers.error_rate": (lambda value: part("triggers", error_rate=value), NO_CHOICE),
	"triggers.critical_tests": (lambda value: part("triggers", critical_tests=value), NO_CHOICE),
	"triggers.latency": (lambda value: part("triggers", latency=value), NO_CHOICE),
	"triggers.log_errors": (lambda value: part("triggers", log_errors=value), NO_CHOICE),
	"monitor.seconds": (lambda value: part("monitor", seconds=value), [-1, 86_401, *NO_NUMBER]),
	"monitor.interval_seconds": (lambda value: part("monitor", interval_seconds=value), [0, 61, *NO_NUMBER]),
	"monitor.path": (lambda value: part("monitor", path=value), [None, "//evil", "http://evil/", *NO_NAME]),
	"monitor.baseline_seconds": (lambda value: part("monitor", baseline_seconds=value), [0, 601, *NO_NUMBER]),
	"monitor.minimum_samples": (
		lambda value: part("monitor", minimum_samples=value),
		[0, 10**30, *NO_NUMBER],
	),
	"drain.seconds": (lambda value: part("drain", seconds=value), [-1, 7201, *NO_NUMBER]),
	"drain.when_exceeded": (lambda value: part("drain", when_exceeded=value), NO_CHOICE),
	"drain.foreign_seconds": (
		lambda value: part("drain", foreign_seconds=value),
		[-1, 7201, *NO_NUMBER],
	),
	"stabilise.seconds": (lambda value: part("stabilise", seconds=value), [-1, 601, *NO_NUMBER]),
	"stabilise.healthy_probes": (
		lambda value: part("stabilise", healthy_probes=value),
		[-1, 1001, 1.5, *NO_NUMBER],
	),
	"inconclusive": (lambda value: {"inconclusive": value}, ["go", *NO_CHOICE]),
	"decision_seconds": (lambda value: {"decision_seconds": value}, [9, 86_401, 30.0, *NO_NUMBER]),
	"timeline.0.minute": (
		lambda value: first("timeline", MILESTONE, minute=value),
		[10**30, 1.5, *NO_NUMBER],
	),
	"timeline.0.phase": (lambda value: first("timeline", MILESTONE, phase=value), [None, *NO_LINE]),
	"timeline.0.action": (lambda value: first("timeline", MILESTONE, action=value), [None, *NO_LINE]),
	"timeline.0.duration_minutes": (
		lambda value: first("timeline", MILESTONE, duration_minutes=value),
		[-1, 1e9, *NO_NUMBER],
	),
	"people.0.role": (lambda value: first("people", PERSON, role=value), [None, *NO_LINE]),
	"people.0.name": (lambda value: first("people", PERSON, name=value), [None, *NO_LINE]),
	"people.0.contact": (lambda value: first("people", PERSON, contact=value), [None, *NO_LINE]),
	"notify": (lambda value: {"notify": value}, [*NO_LIST, ["a"] * 101]),
	"notify.0": (lambda value: {"notify": [value]}, [None, *NO_LINE]),
}

# What belongs to several fields at once, and stands in the message instead of in the field's name.
TOGETHER = {
	"the same site twice": ({"sites": MINIMAL["sites"] * 2}, "twice in sites"),
	"the same app twice": ({"apps": MINIMAL["apps"] * 2}, "twice in apps"),
	"the same key twice": ({"config": [CHANGE, {**CHANGE, "value": 2}]}, "twice in config"),
	"the same file twice": (copied(files=COPY["files"] * 2), "twice in files"),
	"nothing to deploy": ({"apps": []}, "neither an app nor a config change"),
	"tests without a site": ({"critical_tests": [TEST]}, "no test_site"),
	"tests on production": (
		{"critical_tests": [TEST], "test_site": "shop.example"},
		"production_test_consent",
	),
	"a wrong consent": (
		{"critical_tests": [TEST], "test_site": "shop.example", "production_test_consent": CONSENT.upper()},
		"production_test_consent",
	),
	"git without a ref": ({"apps": [{"name": "shop"}]}, "takes a ref"),
	"git with files": (app(files=COPY["files"]), "neither source"),
	"git with a host": (app(ssh_host="host"), "neither source"),
	"copy without files": (copied(files=[]), "source and files"),
	"copy with a ref": (copied(ref="main"), "neither ref"),
	"copy with a commit": (copied(expected_commit="abcdef0"), "neither ref"),
	"two targets": (critical_test(app="shop"), "exactly one"),
	"no target": (critical_test(module=None), "exactly one"),
	"a secret key": (first("config", CHANGE, key="mail_password"), "secret"),
	"an authorising header": (http(headers={"X-Api-Key": "x"}), "not for a plan"),
	"another host": (http(headers={"hOST": "evil"}), "not for a plan"),
	"another site": (http(headers={"X-Frappe-Site-Name": "evil"}), "not for a plan"),
	"an unknown field": ({"after_install": "x"}, "not permitted"),
	"an unknown inner field": (app(hook="x"), "not permitted"),
}
