"""The verdict: GO only where everything was measured and holds."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from press_deploy.engine.bench.answer import GOOD
from press_deploy.engine.verdict.conditions import Condition, Verdict, conclude, settle, wants_rollback
from press_deploy.engine.verdict.figures import latency_figures
from press_deploy.engine.verdict.judge import judge_monitoring, judge_triggers
from press_deploy.engine.watching.probes import Probe
from press_deploy.engine.watching.sampling import Sample

from .support import SITE, make_spec

SPEC = make_spec(monitor={"minimum_samples": 5}, thresholds={"database_connections": 100})
BASELINE = {"median": 100.0, "p95": 120.0, "count": 50}
QUIET = Sample(
	1.0,
	10,
	0,
	{
		"latency_ms": 100.0,
		"cpu_percent": 10.0,
		"memory_percent": 10.0,
		"database_connections": 10,
		"log_errors": 0,
	},
)


def sample(**figures):
	return replace(QUIET, figures={**QUIET.figures, **figures})


def condition(holds, **fields):
	return Condition("Latency", holds, "1", "2", **fields)


def probes(good=100, bad=0, latency=100.0, begin=1000.0, kind="5xx"):
	kinds = [GOOD] * good + [kind] * bad
	return [
		Probe(begin + number * 0.1, SITE, 200, each, latency if each == GOOD else 1.0)
		for number, each in enumerate(kinds)
	]


def judge(samples=(QUIET,) * 10, asked=None, findings=(), baseline=BASELINE, spec=SPEC, unread=None):
	asked = probes() if asked is None else asked
	return judge_monitoring(list(samples), asked, list(findings), {SITE: baseline}, spec, unread or {})


def by_name(conditions):
	return {each.name: each for each in conditions}


def test_an_error_log_that_cannot_be_read_is_unknown_and_no_error():
	conditions = judge(unread={SITE: "Lost connection"})
	assert conclude(judge()) is Verdict.GO and conclude(conditions) is Verdict.INCONCLUSIVE
	assert by_name(conditions)["New errors in logs"].holds is True
	unknown = by_name(conditions)[f"Error Log of {SITE}"]
	assert (unknown.holds, unknown.value, unknown.evidence) == (None, "unknown", "Lost connection")


@pytest.mark.parametrize(
	"holds,expected",
	[
		([], Verdict.INCONCLUSIVE),
		([True], Verdict.GO),
		([True, None], Verdict.INCONCLUSIVE),
		([None, False], Verdict.NO_GO),
		([True, False], Verdict.NO_GO),
		([0], Verdict.INCONCLUSIVE),
		([1], Verdict.INCONCLUSIVE),
		([""], Verdict.INCONCLUSIVE),
	],
)
def test_only_what_holds_makes_go(holds, expected):
	assert conclude([condition(each) for each in holds]) is expected


@given(st.lists(st.builds(condition, st.sampled_from([True, False, None]), crashed=st.booleans())))
def test_go_means_measured_and_held(conditions):
	found = conclude(iter(conditions))
	assert (found is Verdict.GO) is (
		bool(conditions) and all(each.holds is True and not each.crashed for each in conditions)
	)
	if any(each.holds is False for each in conditions):
		assert found is Verdict.NO_GO
	assert conclude(reversed(conditions)) is found


def test_a_probe_that_crashes_is_an_error_and_no_crash():
	def crash():
		raise ZeroDivisionError("no samples")

	found, (evidence,) = settle(crash)
	assert found is Verdict.ERROR and "ZeroDivisionError: no samples" in evidence.evidence


def test_all_in_order_is_go():
	assert conclude(judge()) is Verdict.GO


UNKNOWN = {
	"no probe": {"asked": []},
	"too few probes": {"asked": probes(4)},
	"no sample": {"samples": []},
	"no baseline": {"baseline": None},
	"an empty baseline": {"baseline": {}},
	"no CPU": {"samples": [sample(cpu_percent=None)] * 10},
	"no memory": {"samples": [sample(memory_percent=None)] * 10},
	"no connections": {"samples": [sample(database_connections=None)] * 10},
}


@pytest.mark.parametrize("missing", UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_unknown_is_never_go(missing):
	conditions = judge(**missing)
	assert conclude(conditions) is Verdict.INCONCLUSIVE
	assert all(each.value == "unknown" and each.evidence for each in conditions if each.holds is None)


BROKEN = {
	"Error rate": {"asked": probes(90, 10)},
	"Latency": {"asked": probes(latency=500.0)},
	"Latency against baseline": {"asked": probes(latency=151.0)},
	"New errors in logs": {"findings": [{"count": 1, "example": "ERROR x"}]},
	"CPU": {"samples": [sample(cpu_percent=95.1)] * 6 + [QUIET] * 4},
	"Memory": {"samples": [sample(memory_percent=99.0)] * 10},
	"Database connections": {"samples": [QUIET] * 9 + [sample(database_connections=101)]},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_threshold_is_no_go_and_says_why(name):
	conditions = judge(**BROKEN[name])
	broken = by_name(conditions)[name]
	assert conclude(conditions) is Verdict.NO_GO and broken.holds is False
	assert broken.value and broken.threshold


HELD = {
	"exactly 5 % bad": {"asked": probes(95, 5)},
	"just under the latency": {"asked": probes(latency=149.0)},
	"as many log errors as allowed": {
		"findings": [{"count": 2, "example": "x"}],
		"spec": make_spec(thresholds={"new_log_errors": 2}),
	},
	"one full second of CPU": {"samples": [QUIET] * 9 + [sample(cpu_percent=100.0)]},
	"noise on a fast site": {"asked": probes(latency=21.0), "baseline": {"median": 1.0}},
}


@pytest.mark.parametrize("figures", HELD.values(), ids=HELD)
def test_what_is_within_the_threshold_is_go(figures):
	assert conclude(judge(**figures)) is Verdict.GO


def test_only_bad_answers_leave_latency_unknown_and_are_no_go():
	conditions = judge(asked=probes(0, 50))
	assert conclude(conditions) is Verdict.NO_GO
	assert {name: each.holds for name, each in by_name(conditions).items()}["Latency"] is None


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_figures_that_are_no_numbers_are_not_go(number):
	assert conclude(judge(asked=probes(latency=number))) is not Verdict.GO
	assert conclude(judge(samples=[sample(cpu_percent=number)] * 10)) is not Verdict.GO


def test_a_late_failure_fires_although_the_whole_is_still_good():
	asked = probes(20_000) + probes(0, 40, begin=1000.0 + 2000.0 + 60)
	assert conclude(judge(asked=asked)) is Verdict.GO
	fired = judge_triggers([], asked, [], {SITE: BASELINE}, SPEC)
	assert [each.trigger for each in fired] == ["error_rate"]


def test_no_trigger_fires_on_what_is_unknown():
	assert judge_triggers([], [], [], {}, SPEC) == []
	assert judge_triggers([], probes(0, 3), [], {}, SPEC) == []


@pytest.mark.parametrize(
	"trigger,action,rolls_back",
	[
		("error_rate", "roll_back", True),
		("error_rate", "ask", False),
		("latency", "ask", False),
		("", "roll_back", False),  # a condition of GO, but no trigger
		("a trigger of the future", "roll_back", False),
	],
)
def test_the_plan_says_which_trigger_rolls_back(trigger, action, rolls_back):
	spec = make_spec(triggers={"error_rate": action, "latency": action})
	assert wants_rollback([condition(True), condition(False, trigger=trigger)], spec.triggers) is rolls_back
	assert not wants_rollback(
		[condition(True, trigger=trigger), condition(None, trigger=trigger)], spec.triggers
	)


@given(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=50))
def test_figures_lie_within_what_was_measured(latencies):
	figures = latency_figures(latencies)
	assert min(latencies) - 0.01 <= figures["median"] <= figures["p95"] + 0.01 <= max(latencies) + 0.02
	assert figures["count"] == len(latencies)


def test_no_figures_are_none():
	assert latency_figures([]) is None


@given(
	st.lists(st.sampled_from([GOOD, "5xx", "refused"]), max_size=60),
	st.lists(st.one_of(st.none(), st.floats(0, 100)), max_size=10),
	st.one_of(st.none(), st.just(BASELINE)),
)
def test_go_is_never_said_over_too_little(kinds, cpu, baseline):
	asked = [Probe(float(number), SITE, 200, kind, 100.0) for number, kind in enumerate(kinds)]
	conditions = judge([sample(cpu_percent=each) for each in cpu], asked, [], baseline)
	if conclude(conditions) is Verdict.GO:
		assert len(kinds) >= 5 and baseline and any(each is not None for each in cpu)
		assert sum(kind != GOOD for kind in kinds) * 20 <= len(kinds)


def test_a_dead_site_does_not_hide_among_many_that_are_well():
	sites = [{"name": f"site{number}.example"} for number in range(30)]
	spec = make_spec(monitor={"minimum_samples": 5}, sites=sites)
	asked = [replace(each, site=site) for site in spec.site_names[1:] for each in probes()]
	asked += [replace(each, site=spec.site_names[0]) for each in probes(good=0, bad=100)]

	broken = judge_triggers([], asked, [], dict.fromkeys(spec.site_names, BASELINE), spec)

	assert [each.name for each in broken] == ["Error rate (site0.example)"]
