"""The edge: what each kind of value lets in, and that it says why it doesn't."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from press_deploy.engine.ground import inputs

from .support import HOSTILE_TEXT

NAMES = {
	inputs.site: ("shop.example", "a", "a-b_c.d", "x" * 254),
	inputs.app: ("frappe", "press_deploy", "a1"),
	inputs.ref: ("main", "version-16", "v1.2.3", "feature/a+b", "a" * 40),
	inputs.commit: ("abcdef0", "0" * 40),
	inputs.sha256: ("0" * 64,),
	inputs.config_key: ("server_script_enabled", "a-b", "_x"),
	inputs.module: ("app.module.test_x", "app", "_a.b"),
	inputs.run_name: ("20260101-000000-release-ab12",),
	inputs.header_name: ("Accept", "X-A!b"),
	inputs.ssh_host: ("host", "deploy@host.example"),
	inputs.relative_path: ("a/b.py", "a/-b", ".gitignore", "a..b/c"),
	inputs.absolute_path: ("/srv/releases", "/a"),
	inputs.url_path: ("/", "/api/method/ping", "/a?b=http://x"),
	inputs.base_url: ("http://host", "https://host.example:8443"),
}
# Names that are hostile elsewhere, and harmless here.
HARMLESS = {inputs.header_name: {"a|b", "a&b", "a*", "a'b", "`id`", "..", "-x"}}

WRONG = {
	inputs.site: ("-a", "a-", "a..b", "é", "a/b", "x" * 300),
	inputs.app: ("Frappe", "1a", "a-b", "a.b", "x" * 65),
	inputs.ref: (
		"a..b",
		"a@{1}",
		"@",
		"a:b",
		"+a",
		"a^",
		"a~1",
		"a.lock",
		"a.lock/b",
		"a/",
		"a//b",
		"a/.b",
		"a?",
	),
	inputs.commit: ("abcdef", "ABCDEF0", "0" * 41, "main"),
	inputs.sha256: ("0" * 63, "0" * 65, "G" * 64),
	inputs.config_key: ("maintenance_mode", "db_password", "encryption_key", "a.b", "1a", "é"),
	inputs.module: ("a..b", ".a", "a.", "a-b", "1a", "a/b"),
	inputs.run_name: ("A", "-a", "a/b", "a.b"),
	inputs.header_name: ("a:b", "é"),
	inputs.ssh_host: ("host:22", "a@b@c", "@host", "host/x", "-oProxyCommand=x", "u:p@host"),
	inputs.relative_path: (
		"/etc/passwd",
		".",
		"./a",
		"a/",
		"a//b",
		"a/../b",
		".git/config",
		"a/.git",
		"~/a",
		"é",
	),
	inputs.absolute_path: ("a", "/", "//a", "/a/", "/a/../b", "/a b"),
	inputs.url_path: ("ping", "//evil.example/x", "http://evil.example/", "/a#b", "/\\evil", "//["),
	inputs.base_url: (
		"host",
		"ftp://host",
		"http://",
		"http://host/path",
		"http://host?a",
		"http://host?",
		"http://host#",
		"http://u:p@host",
		"http://@host",
		"http://host:0",
		"http://host:99999",
		"http://ho st",
		"http://[",
		"http://host\\@evil",
		"javascript:alert(1)",
	),
}


def cases(table):
	return [
		pytest.param(check, value, id=f"{check.__name__}-{value[:20]!r}")
		for check in table
		for value in table[check]
	]


@pytest.mark.parametrize("check,value", cases(NAMES))
def test_what_is_meant_passes_unchanged(check, value):
	assert check(value) == value


@pytest.mark.parametrize("check,value", cases(WRONG))
def test_wrong_values_are_refused_with_a_reason(check, value):
	with pytest.raises(ValueError, match=r"\w"):
		check(value)


@pytest.mark.parametrize("check", NAMES, ids=lambda check: check.__name__)
def test_hostile_text_passes_nowhere(check):
	let_in = []
	for value in HOSTILE_TEXT:
		try:
			check(value)
		except ValueError:
			continue
		let_in.append(value)
	assert set(let_in) == HARMLESS.get(check, set())


@pytest.mark.parametrize("check", [*NAMES, inputs.text, inputs.line], ids=lambda check: check.__name__)
@pytest.mark.parametrize("value", [None, 1, ["a"], b"a"], ids=repr)
def test_what_is_no_text_is_refused(check, value):
	with pytest.raises(ValueError):
		check(value)


@pytest.mark.parametrize("good", [value for values in NAMES.values() for value in values])
@pytest.mark.parametrize("tail", ["\n", "\0", "\r", "\x85", "\ud800"])
def test_nothing_hides_behind_a_good_value(good, tail):
	for check, values in NAMES.items():
		if good in values:
			with pytest.raises(ValueError):
				check(good + tail)


@pytest.mark.parametrize(
	"value,accepted",
	[
		("é’\xa0 ok", True),
		("x" * 140, True),
		("x" * 141, False),
		("a\nb", False),
		("a\tb", False),
		("a\x1b[2J", False),
		("a\x9b2J", False),
		("a\x7f", False),
		("a\u2028b", False),
		("a\0", False),
		("\udcff", False),
	],
)
def test_a_line_is_one_line(value, accepted):
	if accepted:
		assert inputs.line(value) == value
	else:
		with pytest.raises(ValueError):
			inputs.line(value)


@pytest.mark.parametrize(
	"name,secret",
	[
		*[
			(name, True)
			for name in ("db_password", "Passwd", "api_key", "X-Api-Key", "secret", "access_token")
		],
		*[
			(name, True)
			for name in ("smtp_pwd", "Authorization", "Cookie", "Set-Cookie", "encryption_key", "key")
		],
		*[
			(name, False)
			for name in ("host_name", "keyboard", "monkey", "server_script_enabled", "Accept", "hash")
		],
	],
)
def test_names_of_secrets_are_known(name, secret):
	assert inputs.is_secret_name(name) is secret


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x", object(), "x" * 20_000])
def test_only_moderate_json_is_a_value(value):
	with pytest.raises(ValueError, match="; "):
		inputs.json_value(value)


@pytest.mark.parametrize("value", ["0", "1767225600", "-1", "1.5", " 7", 7, 1.5, True, None])
def test_a_number_is_no_instant(value):
	with pytest.raises(ValueError, match="no date and time"):
		inputs.instant(value)


@given(st.text(max_size=60))
def test_a_path_that_passes_stays_below_its_directory(value):
	try:
		path = inputs.relative_path(value)
	except ValueError:
		return
	assert set(path) <= set(string.ascii_letters + string.digits + "_./+@=-")
	assert path[0] not in "/-" and not {"..", "", "."} & set(path.split("/"))


@given(st.text(alphabet="/a.:@\\?#[]%h t\n", max_size=30))
def test_a_url_that_passes_asks_the_host_that_was_validated(value):
	from urllib.parse import urlsplit

	try:
		base = inputs.base_url(f"http://{value}")
	except ValueError:
		return
	parts = urlsplit(f"{base}/api/method/ping?x=1")
	assert parts.path == "/api/method/ping" and parts.query == "x=1" and "@" not in parts.netloc
