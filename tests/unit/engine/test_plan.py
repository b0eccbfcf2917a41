"""The plan spec: each field with hostile and wrong values, and what a message may show of them."""

import json
import re
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from press_deploy.engine.ground.canonical import canonical_json
from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.plan.spec import CONSENT, PLAN_SIZE_LIMIT, parse_plan, read_plan

from .plan_values import (
	CHANGE,
	CONSOLE,
	FIELDS,
	HTTP,
	ITEM,
	MILESTONE,
	PERSON,
	TEST,
	TOGETHER,
	WINDOW,
	WITH_TESTS,
	copied,
	first,
	http,
)
from .support import MINIMAL, make_spec

# Of the minimal plan, as the version before the first added field had it.
MINIMAL_SHA256 = "5d1af1fee2886fec9f65c92fade8e461b31f35994f31a1e987436a9dd6aa9146"
CASES = [
	pytest.param(field, FIELDS[field][0](value), id=f"{field}-{repr(value)[:25]}")
	for field in FIELDS
	for value in FIELDS[field][1]
]


def refuse(**overrides) -> InputError:
	with pytest.raises(InputError) as caught:
		make_spec(**overrides)
	return caught.value


@pytest.mark.parametrize("field,overrides", CASES)
def test_wrong_values_are_refused_by_field_value_and_remedy(field, overrides):
	error = refuse(**overrides)
	assert error.field.split(".[")[0] == field
	assert error.why and error.remedy and error.what.startswith(f"field “{error.field}” with value ")
	assert len(str(error)) < 600 and "\0" not in str(error) and "\x1b" not in str(error)


@pytest.mark.parametrize("overrides,said", TOGETHER.values(), ids=TOGETHER)
def test_what_does_not_fit_together_is_refused(overrides, said):
	error = refuse(**overrides)
	assert said in str(error) and error.remedy


def test_every_field_has_a_table():
	"""A new field without hostile values shows here."""
	spec = make_spec(
		**{**copied(), "smoke_tests": [HTTP, CONSOLE], "window": WINDOW, "notify": ["a"], **WITH_TESTS},
		config=[CHANGE],
		checklist=[ITEM],
		timeline=[MILESTONE],
		people=[PERSON],
	)
	names = {
		"smoke_tests.0": "smoke_tests.0.http",
		"smoke_tests.1": "smoke_tests.0.console",
	}
	missing = set()

	def walk(data, place):
		place = names.get(place, place)
		if isinstance(data, dict) and data:
			for name, value in data.items():
				walk(value, f"{place}.{name}" if place else name)
		elif isinstance(data, list) and data and isinstance(data[0], dict):
			for number, value in enumerate(data):
				walk(value, f"{place}.{number}")
		elif place not in FIELDS and not any(field.startswith(f"{place}.") for field in FIELDS):
			missing.add(place)

	walk(spec.as_data(), "")
	# Anything that is JSON (see the tests of NaN and secrets), discriminators, and twins of fields in the table.
	assert missing == {
		"config.0.value",
		"smoke_tests.0.http.kind",
		"smoke_tests.0.console.kind",
		"smoke_tests.0.console.name",
		"window.end",
	}


def test_a_plan_of_an_earlier_version_keeps_its_hash():
	"""It has none of the fields that came later; written out with them, it is the same plan."""
	# Written out by a version whose default this was.
	former = {"stabilise": {"healthy_probes": 0}}
	old, added = make_spec(**former).as_data(), make_spec(**former, drain={"foreign_seconds": 20.0})
	del old["drain"]["foreign_seconds"]
	assert read_plan(old).sha256 == make_spec(**former).sha256 == MINIMAL_SHA256
	assert read_plan(read_plan(old).as_data()).sha256 == MINIMAL_SHA256
	assert read_plan(old).drain.foreign_seconds == 10 and added.sha256 != MINIMAL_SHA256
	assert {"foreign_seconds"} <= set(make_spec().as_data()["drain"])


@pytest.mark.parametrize("rung", [3, 4, 5])
def test_a_safe_copy_needs_a_safe_place(rung):
	with pytest.raises(InputError, match="name one, or ask for rung 2"):
		make_spec(backup={"required_rung": rung})
	place = {"kind": "directory", "path": "/backup"}
	assert (
		make_spec(backup={"required_rung": rung, "safe_places": [place]}).backup.places[0].path == "/backup"
	)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(
	"place",
	[
		'"config": [{"key": "a", "value": %s}]',
		'"config": [{"key": "a", "value": {"b": [%s]}}]',
		'"thresholds": {"latency_ms": %s}',
		'"thresholds": {"cpu_percent": %s}',
		'"timeline": [{"minute": 1, "phase": "a", "action": "b", "duration_minutes": %s}]',
		'"smoke_tests": [{"kind": "http", "name": "a", "path": "/", "expected_json": {"a": %s}}]',
	],
)
def test_numbers_that_are_no_json_are_refused_everywhere(place, number):
	encoded = canonical_json(MINIMAL)[:-1] + "," + place % number + "}"
	with pytest.raises(InputError):
		parse_plan(encoded)


@pytest.mark.parametrize(
	"encoded",
	[
		"",
		"x",
		"null",
		"[]",
		"1",
		'"plan"',
		"{",
		'{"title": "a"}{',
		"[" * 100_000,
		b"\xff\xfe",
		b"\x80\x04.",
		"{}",
	],
	ids=lambda value: repr(value)[:12],
)
def test_what_is_no_plan_is_refused(encoded):
	with pytest.raises(InputError) as caught:
		parse_plan(encoded)
	assert caught.value.remedy and len(str(caught.value)) < 600


def nest(depth: int) -> list:
	value: list = []
	for _level in range(depth):
		value = [value]
	return value


@pytest.mark.parametrize(
	"data",
	[None, "x", b"x", 1, [], object(), {1: 2, "a": 3}, {"title": b"x"}, {"title": {1}}, {"title": "\ud800"}],
	ids=lambda value: re.sub(r" at 0x\w+", "", repr(value)),
)
def test_data_that_is_no_plan_is_refused(data):
	with pytest.raises(InputError):
		read_plan(data)


@pytest.mark.parametrize("depth", [300, 100_000])
def test_a_deep_nest_is_refused(depth):
	error = refuse(config=[{"key": "a", "value": nest(depth)}])
	assert error.remedy


def test_a_plan_that_holds_itself_is_refused():
	data = dict(MINIMAL)
	data["config"] = data
	with pytest.raises(InputError):
		read_plan(data)


def test_a_plan_over_the_limit_is_refused():
	with pytest.raises(InputError, match="larger than"):
		parse_plan(json.dumps({**MINIMAL, "objective": "x" * PLAN_SIZE_LIMIT}))


@pytest.mark.parametrize(
	"overrides",
	[
		{"sites": [{"name": "a", "public_url": "https://ada:hunter2@shop.example"}]},
		{"sites": [{"name": "a", "public_url": "https://ada:p@hunter2@shop.example"}]},
		copied(ssh_host="ada:hunter2@host"),
		http(headers={"Authorization": "Bearer hunter2\n"}),
		http(headers={"X-Api-Key": "hunter2\n"}),
		http(headers={"Authorization": "Bearer hunter2"}),
		first("config", CHANGE, password="hunter2"),
		first("config", CHANGE, key="db_password", value="hunter2"),
		first("config", CHANGE, key="mail_password", value="hunter2"),
		{"config": [{"key": "mail_password", "value": "hunter2"}] * 201},
		{"title": [{"password": "hunter2"}]},
		{"api_key": "hunter2"},
	],
	ids=repr,
)
def test_no_message_shows_a_secret(overrides):
	error = refuse(**overrides)
	assert "hunter2" not in str(error) and "hunter2" not in json.dumps(error.as_data())


@pytest.mark.parametrize(
	"change,words",
	[
		({**CHANGE, "key": "mail_password"}, ["key mail_password usually holds a secret"]),
		(
			{**CHANGE, "key": "mail", "value": [{"a": {"smtp_token": "hunter2"}}]},
			["key mail", "key smtp_token in the value of mail usually holds a secret"],
		),
		({**CHANGE, "key": "mail", "value": {"a\x1b[2Jtoken": "hunter2"}}, ["key mail"]),
	],
)
def test_a_configuration_key_that_is_refused_is_named(change, words):
	error = refuse(config=[CHANGE, change])
	assert error.field == "config.1" and all(word in str(error) for word in words), str(error)
	assert "hunter2" not in str(error) and "\x1b" not in str(error)


@pytest.mark.parametrize("name", ["x" * 900_000, "a\x1b[2J", "a\0", "a\nb"])
def test_the_name_of_an_unknown_field_is_shown_harmless(name):
	error = refuse(**{name: 1})
	assert len(str(error)) < 600 and not set(str(error).replace("\n  → ", "")) & set("\x1b\0\n")


@pytest.mark.parametrize("name", ["http", "path", "a\nb", "é", "a:b", "x" * 101])
def test_header_names_are_names(name):
	overrides = http(headers={name: "x"})
	if name in ("http", "path"):
		assert make_spec(**overrides)
	else:
		assert "header name" in str(refuse(**overrides))


def test_equal_plans_have_equal_hashes_and_every_change_shows():
	plan = {**MINIMAL, "config": [CHANGE]}
	spec = read_plan(plan)
	assert read_plan(dict(reversed(list(plan.items())))).sha256 == spec.sha256
	assert parse_plan(json.dumps(spec.as_data())).sha256 == spec.sha256
	others = [{"title": "b"}, {"config": [{**CHANGE, "value": 1.5}]}, {"config": [{**CHANGE, "value": True}]}]
	assert len({spec.sha256, *(read_plan({**plan, **other}).sha256 for other in others)}) == 4


def test_a_spec_cannot_be_changed():
	spec = make_spec()
	with pytest.raises(ValueError):
		spec.title = "other"


@pytest.mark.parametrize(
	"moment,open_",
	[("19:59:59", False), ("20:00:00", True), ("21:59:59", True), ("22:00:00", False)],
)
def test_the_window_opens_and_closes(moment, open_):
	spec = make_spec(window={"start": "2030-01-01T21:00+01:00", "end": "2030-01-01T22:00Z"})
	at = datetime.fromisoformat(f"2030-01-01T{moment}").replace(tzinfo=timezone.utc)
	assert spec.is_open_at(at) is open_


def test_tests_on_production_take_the_whole_sentence():
	plan = {"critical_tests": [TEST], "test_site": "shop.example", "production_test_consent": CONSENT}
	assert make_spec(**plan).tests_run_on_production


json_values = st.recursive(
	st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
	lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
	max_leaves=10,
)


@given(st.sampled_from(sorted(FIELDS)), json_values)
def test_any_value_anywhere_is_accepted_or_refused_as_input(field, value):
	try:
		spec = read_plan({**MINIMAL, **FIELDS[field][0](value)})
	except InputError as error:
		assert error.field and error.remedy
	else:
		assert parse_plan(json.dumps(spec.as_data())).sha256 == spec.sha256
