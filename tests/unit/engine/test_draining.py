"""The drain: it ends when no job is at work, or at the plan's limit, and says what it waits for."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.draining import describe_jobs
from press_deploy.engine.steps import jobs
from press_deploy.engine.steps.jobs import PauseJobs
from tests.support.steps import hand

from .support import SITE, make_bench, make_spec


def job(method, state, queue="short"):
	return {"id": method, "method": method, "queue": queue, "state": state, "started": None}


AT_WORK, WAITING = job("bill", "running", "long"), job("mail", "waiting")


@pytest.mark.parametrize(
	("listed", "words"),
	[
		([], ""),
		([AT_WORK], "1 at work: bill (queue long)"),
		(
			[WAITING, AT_WORK, WAITING],
			"1 at work: bill (queue long); 2 waiting for a worker: mail (queue short, 2 times)",
		),
		(
			[job(f"job {number}", "waiting") for number in range(300)],
			"300 waiting for a worker: job 0 (queue short), job 1 (queue short), job 2 (queue short), "
			"job 3 (queue short), and 296 others",
		),
	],
)
def test_every_job_is_counted_and_a_few_are_named(listed, words):
	assert describe_jobs(listed) == words


class Drained:
	"""A run in which the sites answer `looks`, one after the other, the last of them for ever."""

	def __init__(self, path, looks, sites=(SITE,), held=True, **drain):
		self.bench = Bench.open(make_bench(path / "bench", *sites))
		self.name = "a-run"
		self.spec = make_spec(drain=drain, sites=[{"name": site} for site in sites])
		self.asked, self.held = [], held
		self.looks, self.notes, self.lines, self.heeded = list(looks), [], [], 0
		self.note, self.log, self.on_progress = self.notes.append, self.lines.append, lambda line: None
		self.projector = SimpleNamespace(close=lambda: None)
		self.site_processes = SimpleNamespace(call=self._call)

	def stop_if_asked(self):
		self.heeded += 1
		if self.heeded == 50:
			raise KeyboardInterrupt

	def _call(self, task, site, timeout, sites, seconds, run):
		assert task == "drain" and site == sites[0] and timeout > seconds and run == "a-run"
		self.asked.append((sites, seconds))
		return {"jobs": self.looks.pop(0) if len(self.looks) > 1 else self.looks[0], "held": self.held}


def test_jobs_at_work_are_waited_for_and_those_that_wait_are_held(tmp_path):
	both = [AT_WORK, WAITING]
	run = Drained(tmp_path, [[AT_WORK, AT_WORK, WAITING], both, both, [WAITING]], seconds=60)
	result = hand(PauseJobs, run).apply(run, {})
	assert (result["busy"], result["waiting"]) == ([], 1) and "1 wait(s) until" in result["found"]
	assert (run.heeded, run.notes) == (3, [])
	assert len(run.lines) == 2, "one line for each change"
	assert "1 at work: bill" in run.lines[-1]
	config = json.loads((run.bench.path / "sites" / SITE / "site_config.json").read_text())
	assert config["pause_scheduler"] == 1


def test_what_is_at_work_is_said_at_once_and_its_end_is_waited_for_in_the_process_that_asks(tmp_path):
	run = Drained(tmp_path, [[AT_WORK], [AT_WORK], []], seconds=60)
	hand(PauseJobs, run).apply(run, {})
	assert [seconds for _sites, seconds in run.asked] == [0.0, *[jobs.DRAIN_LOOK_SECONDS] * 2]
	run = Drained(tmp_path / "soon", [[AT_WORK], []], seconds=1)
	hand(PauseJobs, run).apply(run, {})
	assert 0 < run.asked[-1][1] <= 1, "no longer than the plan says"


def test_one_process_asks_for_all_sites_that_share_their_queues(tmp_path):
	sites = ["a.example", "b.example", "c.example"]
	run = Drained(tmp_path, [[]], sites=sites)
	hand(PauseJobs, run).apply(run, {})
	assert [each for each, _seconds in run.asked] == [sites]
	elsewhere = {"db_name": "x", "redis_queue": "redis://127.0.0.1:1"}
	run.bench.site_config("b.example").write_text(json.dumps(elsewhere))
	hand(PauseJobs, run).apply(run, {})
	assert [each for each, _seconds in run.asked[1:]] == [["a.example", "c.example"], ["b.example"]]


def test_the_plan_goes_on_at_its_limit_and_says_over_what(tmp_path):
	run = Drained(tmp_path, [[AT_WORK]], seconds=0, when_exceeded="go_on")
	result = hand(PauseJobs, run).apply(run, {})
	assert result["busy"] == [AT_WORK] and "1 job(s) not done" in result["found"]
	assert run.notes == ["Went on after 0 s although jobs were not done: 1 at work: bill (queue long)"]


def test_workers_that_somebody_else_holds_are_told_of(tmp_path):
	run = Drained(tmp_path, [[WAITING]], held=False)
	assert hand(PauseJobs, run).apply(run, {})["busy"] == [] and run.notes == [jobs.HELD_BY_OTHERS]


def test_a_plan_that_waits_does_so_until_somebody_stops_it(tmp_path):
	run = Drained(tmp_path, [[AT_WORK]], seconds=0, when_exceeded="wait")
	with pytest.raises(KeyboardInterrupt):
		hand(PauseJobs, run).apply(run, {})
	assert run.heeded == 50
