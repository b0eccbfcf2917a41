"""The drain: it ends when no job is at work and none waits, or at the plan's limit, and says what it waits for."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from press_deploy.engine.bench import Bench
from press_deploy.engine.draining import describe_jobs
from press_deploy.engine.steps import deploy
from press_deploy.engine.steps.deploy import PauseJobs

from .support import SITE, make_bench, make_spec


def job(method, state, queue="short"):
	return {"id": method, "method": method, "queue": queue, "state": state, "started": None}


AT_WORK, WAITING = job("bill", "running", "long"), job("mail", "waiting")


@pytest.mark.parametrize(
	("jobs", "words"),
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
def test_every_job_is_counted_and_a_few_are_named(jobs, words):
	assert describe_jobs(jobs) == words


class Drained:
	"""A context in which the site answers `looks`, one after the other, the last of them for ever."""

	def __init__(self, path, looks, **drain):
		self.bench, self.spec = Bench.open(make_bench(path / "bench")), make_spec(drain=drain)
		self.looks, self.notes, self.lines, self.heeded = list(looks), [], [], 0
		self.note, self.log, self.on_progress = self.notes.append, self.lines.append, lambda line: None
		self.projector = SimpleNamespace(close=lambda: None)
		self.site_processes = SimpleNamespace(call=self._call)

	def stop_if_asked(self):
		self.heeded += 1
		if self.heeded == 50:
			raise KeyboardInterrupt

	def _call(self, task, site, timeout):
		assert (task, site) == ("busy_jobs", SITE)
		return {"jobs": self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
	monkeypatch.setattr(deploy, "POLL_SECONDS", 0)


def test_jobs_that_wait_are_waited_for(tmp_path):
	context = Drained(tmp_path, [[AT_WORK, WAITING], [WAITING], [WAITING], []], seconds=60)
	assert PauseJobs().apply(context, {})["busy"] == []
	assert (context.heeded, context.notes) == (3, [])
	assert len(context.lines) == 2, "one line for each change"
	assert "1 waiting for a worker: mail" in context.lines[-1]
	config = json.loads((context.bench.path / "sites" / SITE / "site_config.json").read_text())
	assert config["pause_scheduler"] == 1


def test_the_plan_goes_on_at_its_limit_and_says_over_what(tmp_path):
	context = Drained(tmp_path, [[WAITING]], seconds=0, when_exceeded="go_on")
	result = PauseJobs().apply(context, {})
	assert result["busy"] == [WAITING] and "1 job(s) not done" in result["found"]
	assert context.notes == [
		"Went on after 0 s although jobs were not done: 1 waiting for a worker: mail (queue short)"
	]


def test_a_plan_that_waits_does_so_until_somebody_stops_it(tmp_path):
	context = Drained(tmp_path, [[WAITING]], seconds=0, when_exceeded="wait")
	with pytest.raises(KeyboardInterrupt):
		PauseJobs().apply(context, {})
	assert context.heeded == 50
