"""Services count as up when the sites answered several times in a row and no program died over it; nobody stands
before closed doors for longer, and who dies later is still seen."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from press_deploy.engine.bench.answer import BROKEN, GOOD, MAINTENANCE, REFUSED, SERVER_ERROR, TIMEOUT, Answer
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.program_watch import ProgramWatch
from press_deploy.engine.ground.errors import ServiceError, StepFailed
from press_deploy.engine.steps import install
from press_deploy.engine.steps.install import Stabilise
from press_deploy.engine.steps.living_programs import judge_programs
from tests.support.steps import hand

from .support import make_spec

UP = {"web": ("RUNNING", 1), "worker": ("RUNNING", 2)}
RESTARTED = {**UP, "worker": ("RUNNING", 3)}
STARTING = {**UP, "worker": ("STARTING", 3)}
BACKOFF = {**UP, "worker": ("STARTING", None)}
FAILED = {**UP, "worker": ("FAILED", None)}
GONE = {"web": ("RUNNING", 1)}


class Clock:
	"""Time passes only where somebody sleeps, or takes some to answer."""

	def __init__(self):
		self.now, self.sleeps = 100.0, 0

	def monotonic(self):
		return self.now

	def sleep(self, seconds):
		self.sleeps += 1
		assert self.sleeps < 10_000, "it never ends"
		self.now += seconds


class Restarted:
	"""A run after the restart: what programs and sites say, look by look, the last of it for ever."""

	def __init__(
		self, clock, programs=(UP,), kinds=(MAINTENANCE,), results=None, answer_seconds=0.0, **stabilise
	):
		self.clock, self.seconds = clock, answer_seconds
		self.bench = Bench(Path("/no/bench"))
		self.looks, self.kinds, self.asked = list(programs), list(kinds), 0
		self.spec, self.bench = make_spec(stabilise=stabilise), Bench(Path("/srv/bench"))
		self.state = SimpleNamespace(result=lambda step: (results or {}).get(step, {}))
		services, web = SimpleNamespace(programs=self._programs), SimpleNamespace(ask=self._ask)
		self.doors = SimpleNamespace(services=services, web=web)
		self.watched_logs = SimpleNamespace(mark=dict)

	def _programs(self):
		look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
		if isinstance(look, Exception):
			raise look
		return [
			{"name": name, "state": state, "pid": pid, "role": name} for name, (state, pid) in look.items()
		]

	def _ask(self, site):
		self.asked += 1
		self.clock.now += self.seconds
		kind = self.kinds.pop(0) if len(self.kinds) > 1 else self.kinds[0]
		return Answer(0.0, 503 if kind == MAINTENANCE else None, kind, 1.0)


@pytest.fixture
def clock(monkeypatch):
	made = Clock()
	monkeypatch.setattr(install, "time", made)
	return made


def stabilise(run):
	begun = run.clock.now
	result = hand(Stabilise, run).apply(run, {})
	return run.clock.now - begun, result


def test_by_default_five_healthy_answers_over_a_second_are_enough(clock):
	passed, result = stabilise(Restarted(clock))
	assert install.STEADY_SECONDS <= passed < 2 * install.STEADY_SECONDS
	assert result["processes"] == {"web": 1, "worker": 2}


def test_answers_that_come_quickly_are_asked_for_over_a_second(clock):
	run = Restarted(clock, healthy_probes=1)
	passed, _result = stabilise(run)
	assert passed >= install.STEADY_SECONDS and run.asked > 1


@pytest.mark.parametrize("kind", [SERVER_ERROR, REFUSED, TIMEOUT, BROKEN])
def test_one_bad_answer_and_they_are_counted_anew(clock, kind):
	run = Restarted(clock, kinds=[GOOD, GOOD, GOOD, GOOD, kind, MAINTENANCE])
	_passed, result = stabilise(run)
	assert run.asked >= 10 and "(5 healthy probes" in result["found"]


@pytest.mark.parametrize("kind", [SERVER_ERROR, REFUSED, TIMEOUT, BROKEN])
def test_the_plan_s_seconds_are_the_limit(clock, kind):
	begun = clock.now
	with pytest.raises(StepFailed, match=f"{kind} after 30 s .log: /srv/bench/logs"):
		stabilise(Restarted(clock, kinds=[kind]))
	assert 30 <= clock.now - begun < 31


def test_a_site_that_is_well_now_and_then_is_not_well(clock):
	run = Restarted(clock, kinds=[GOOD, GOOD, GOOD, REFUSED] * 100)
	with pytest.raises(StepFailed, match=r"in a row after 30 s|refused after 30 s"):
		hand(Stabilise, run).apply(run, {})


def test_a_slow_machine_is_no_sick_one(clock):
	"""Every answer was healthy; there was no time for more of them."""
	passed, result = stabilise(Restarted(clock, answer_seconds=9.0))
	assert passed >= 30 and "(4 healthy probes" in result["found"]


def test_a_plan_of_before_still_waits_the_whole_time(clock):
	passed, _result = stabilise(Restarted(clock, seconds=30, healthy_probes=0))
	assert 30 <= passed < 31
	with pytest.raises(StepFailed, match="refused"):
		stabilise(Restarted(clock, kinds=[*[GOOD] * 20, REFUSED], seconds=30, healthy_probes=0))


@pytest.mark.parametrize(
	"looks", [[UP, RESTARTED], [UP, BACKOFF, STARTING, RESTARTED], [UP, FAILED, RESTARTED]]
)
def test_a_program_that_died_is_seen_whatever_it_does_now(clock, looks):
	with pytest.raises(
		StepFailed, match=r"worker.*died and was started again \(log: /srv/bench/logs\)"
	) as caught:
		stabilise(Restarted(clock, looks))
	assert caught.value.told.startswith("worker: died") and caught.value.remedy.endswith(
		"ls -t /srv/bench/logs"
	)


@pytest.mark.parametrize("look", [STARTING, BACKOFF, FAILED])
def test_a_program_that_does_not_run_is_waited_for_until_the_limit(clock, look):
	"""Also one that never ran: it is not missing only because nobody saw it before."""
	with pytest.raises(StepFailed, match=r"not running: worker \(\w+\) after 30 s"):
		stabilise(Restarted(clock, [look]))
	passed, result = stabilise(Restarted(clock, [look, look, RESTARTED]))
	assert passed >= install.STEADY_SECONDS + install.PROBE_SECONDS and result["processes"]["worker"] == 3


def test_a_worker_still_at_an_old_job_keeps_nobody_waiting(clock):
	results = {"restart": {"late": ["worker"]}}
	_passed, result = stabilise(Restarted(clock, [UP, BACKOFF, RESTARTED], results=results))
	assert result["processes"] == {"web": 1}


def test_a_program_that_vanishes_is_not_running():
	watch = ProgramWatch(Restarted(Clock(), [UP, GONE]).doors.services)
	assert watch.look() == ([], []) and watch.look() == ([], ["worker (gone)"])


# --- afterwards --------------------------------------------------------------------------------


def judge(*looks, **results):
	settled = {"stabilise": {"processes": {"web": 1, "worker": 2}}, **results}
	run = Restarted(Clock(), looks, results=settled)
	return judge_programs(run, run.doors.services)


@pytest.mark.parametrize("look", [RESTARTED, BACKOFF, STARTING, FAILED, GONE])
def test_who_dies_after_that_makes_the_verdict_no_go(look):
	(condition,) = judge(look)
	assert (
		condition.holds is False
		and "worker (" in condition.evidence
		and "/srv" in condition.evidence
		and condition.trigger == "error_rate"
	)


def test_who_stays_up_holds_and_who_can_t_be_asked_is_unknown():
	assert [each.holds for each in judge(UP)] == [True]
	assert [each.holds for each in judge(RESTARTED, restart={"late": ["worker"]})] == [True]
	assert [each.holds for each in judge(ServiceError("Asking", "services", "it is gone", "start it"))] == [
		None
	]


def test_a_run_of_an_earlier_version_says_nothing_of_its_processes():
	assert judge(RESTARTED, stabilise={"found": "healthy after 30 s"}) == []
