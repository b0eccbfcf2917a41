import inspect
import os
from dataclasses import replace

import pytest

from press_deploy.helper.client import HelperClient
from press_deploy.helper.errors import BadRequest, Denied
from press_deploy.helper.operations import Operations
from press_deploy.helper.policy import POLICY, authorise

from .support import SITES, build_test_bench

OWNER, STRANGER = os.geteuid(), 54321

GOOD = {
	"status": {},
	"maintenance_on": {"run": "r1", "sites": [SITES[0]], "lease_seconds": 60},
	"maintenance_renew": {"run": "r1", "lease_seconds": 60},
	"maintenance_off": {"run": "r1", "sites": [SITES[0]], "previous": {SITES[0]: {"present": False}}},
	"reload": {"role": "web"},
	"restart": {"role": "workers"},
	"start_runner": {"run": "r1"},
	"resume_runner": {"run": "r1"},
	"watch_runner": {"run": "r1"},
	"unwatch_runner": {"run": "r1"},
}

HOSTILE_TEXT = [
	"",
	"../../x",
	"/etc/passwd",
	"a/b",
	"; rm -rf /",
	"$(id)",
	"--upload-pack",
	"-x",
	"a\0",
	"a\n",
	"\nrun",
	"A",
	"é",
	"\ud800",
	"a" * 65,
	"x" * 60000,
	"*",
	".",
]
WRONG_TYPES = [None, True, False, 0, 1, -1, 1.5, [], {}, ["a"], {"a": 1}]
VALUES = {
	"run": [*HOSTILE_TEXT, *WRONG_TYPES],
	"role": [*HOSTILE_TEXT, *WRONG_TYPES, "redis", "all", "Web", "web\n"],
	"lease_seconds": ["60", True, None, 9, 3601, -60, 60.0, 1e9, 10**400, [60]],
	"sites": [
		[],
		None,
		SITES[0],
		{SITES[0]: 1},
		[SITES[0], SITES[0]],
		[SITES[0], "unknown.example.com"],
		[[SITES[0]]],
		[True],
		[{}],
		*[[text] for text in HOSTILE_TEXT],
	],
	"previous": [
		None,
		[],
		"x",
		{"unknown.example.com": {"present": False}},
		{SITES[0]: None},
		{SITES[0]: {}},
		{SITES[0]: {"present": 0}},
		{SITES[0]: {"present": 1, "value": 1}},
		{SITES[0]: {"present": "yes"}},
		{SITES[0]: {"present": True}},
		{SITES[0]: {"present": False, "value": 1}},
		{SITES[0]: {"present": True, "value": 1, "more": 1}},
		{SITES[0]: {"present": True, "value": []}},
		{SITES[0]: {"present": True, "value": {}}},
		{SITES[0]: {"present": True, "value": 1.5}},
		{SITES[0]: {"present": True, "value": "x" * 17}},
		{SITES[0]: {"present": True, "value": "a\n"}},
		{SITES[0]: {"present": True, "value": "\ud800"}},
		{SITES[0]: {"present": True, "value": 10**30}},
	],
}


@pytest.fixture
def benches(bench):
	return {"shop": build_test_bench(bench)}


def request(verb="status", arguments=None, **changes):
	arguments = GOOD.get(verb, {}) if arguments is None else arguments
	return {"version": 1, "verb": verb, "bench": "shop", "arguments": arguments, **changes}


def test_the_table_the_operations_and_the_client_agree():
	for verb, rule in POLICY.items():
		# Whose process it is about, no caller says: the server asks the kernel.
		about_caller = ["pid"] if rule.takes_caller else []
		for kind, more in ((Operations, about_caller), (HelperClient, [])):
			parameters = list(inspect.signature(getattr(kind, verb)).parameters)
			assert parameters == ["self", *rule.arguments, *more], (kind, verb)
	assert set(GOOD) == set(POLICY)


@pytest.mark.parametrize("verb", GOOD)
def test_the_owner_may(benches, verb):
	accepted = authorise(request(verb), OWNER, benches)
	assert (accepted.verb, accepted.bench.name, accepted.arguments) == (verb, "shop", GOOD[verb])


@pytest.mark.parametrize("verb", GOOD)
def test_root_may_but_is_no_runner(benches, verb):
	foreign = {"shop": replace(benches["shop"], uid=12345)}
	if POLICY[verb].takes_caller:
		with pytest.raises(Denied):
			authorise(request(verb), 0, foreign)
	else:
		assert authorise(request(verb), 0, foreign).verb == verb


@pytest.mark.parametrize("verb", [*GOOD, "unknown"])
def test_others_may_not(benches, verb):
	with pytest.raises(Denied, match="54321"):
		authorise(request(verb), STRANGER, benches)


def test_strangers_cannot_tell_unknown_benches_from_others(benches):
	answers = []
	for bench in ("shop", "shoq"):
		with pytest.raises(Denied) as denied:
			authorise(request(bench=bench), STRANGER, benches)
		answers.append(str(denied.value).replace(bench, ""))
	assert answers[0] == answers[1]


@pytest.mark.parametrize(
	"verb",
	[
		"",
		"Status",
		"status ",
		"__init__",
		"close",
		"build_watcher",
		"wait_for_restarts",
		"_find_names",
		"bench",
	],
)
def test_unknown_verbs_are_denied(benches, verb):
	with pytest.raises(Denied, match="is not one of"):
		authorise(request(verb), OWNER, benches)


@pytest.mark.parametrize(
	"changes",
	[
		{"version": 2},
		{"version": True},
		{"version": "1"},
		{"verb": None},
		{"verb": ["status"]},
		{"bench": None},
		{"bench": {}},
		{"arguments": []},
		{"arguments": None},
		{"more": 1},
	],
)
def test_malformed_envelopes_are_refused(benches, changes):
	with pytest.raises(BadRequest):
		authorise({**request(), **changes}, OWNER, benches)


@pytest.mark.parametrize("missing", ["version", "verb", "bench", "arguments"])
def test_incomplete_envelopes_are_refused(benches, missing):
	message = request()
	del message[missing]
	with pytest.raises(BadRequest):
		authorise(message, OWNER, benches)


@pytest.mark.parametrize("verb", GOOD)
def test_unknown_and_missing_arguments_are_refused(benches, verb):
	with pytest.raises(BadRequest, match="all mandatory"):
		authorise(request(verb, {**GOOD[verb], "path": "/etc"}), OWNER, benches)
	for name in GOOD[verb]:
		with pytest.raises(BadRequest, match="all mandatory"):
			authorise(request(verb, {k: v for k, v in GOOD[verb].items() if k != name}), OWNER, benches)


@pytest.mark.parametrize(
	("verb", "name", "value"),
	[(verb, name, value) for verb in POLICY for name in POLICY[verb].arguments for value in VALUES[name]],
)
def test_hostile_values_are_refused_by_name(benches, verb, name, value):
	with pytest.raises(BadRequest) as refusal:
		authorise(request(verb, {**GOOD[verb], name: value}), OWNER, benches)
	assert str(refusal.value).startswith(f"{name} is ")
	assert len(str(refusal.value)) < 400


@pytest.mark.parametrize("value", [None, True, False, 0, 1, -5, "", "0", "x" * 16])
def test_previous_values_that_configurations_hold_are_accepted(benches, value):
	arguments = {**GOOD["maintenance_off"], "previous": {SITES[0]: {"present": True, "value": value}}}
	assert authorise(request("maintenance_off", arguments), OWNER, benches).arguments == arguments


@pytest.mark.parametrize("seconds", [10, 3600])
def test_lease_limits_are_included(benches, seconds):
	assert authorise(request("maintenance_renew", {"run": "a-1", "lease_seconds": seconds}), OWNER, benches)
