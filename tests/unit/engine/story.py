"""A run as a runner would have written it, on a clock of its own, for the tests of the report."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.journal import journal
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.plan.spec import PlanSpec, read_plan
from press_deploy.engine.report import summary
from press_deploy.engine.report.timeline_charts import CLOSING, OPENING
from press_deploy.engine.report.writing import build_report
from press_deploy.engine.verdict.metrics import list_gauges
from press_deploy.engine.watching.probes import COLUMNS as PROBE_COLUMNS
from press_deploy.engine.watching.sampling import ALWAYS

OLD, NEW = "3b1d6a0c9f2e48d7b5a4c3e2f1d0b9a8c7d6e5f4", "f00a724de1c25b9b8a7f6e5d4c3b2a1908f7e6d5"
BEGIN = datetime(2026, 1, 14, 2, 0, 0, tzinfo=timezone.utc).timestamp()
FAR = BEGIN + 1e9

PLAN: dict[str, Any] = {
	"title": "Press v16",
	"objective": "Bring the fixes for Frappe v16, proven in staging, to production.",
	"approved_by": "administrator@shop.example",
	"sites": [{"name": "shop.example", "public_url": "https://shop.example"}, {"name": "erp.shop.example"}],
	"apps": [{"name": "press", "ref": "main", "expected_commit": "f00a724"}],
	"config": [{"key": "server_script_enabled", "value": True}],
	"checklist": [
		{"item": "Backup configured", "done": True, "done_by": "Ada Example"},
		{"item": "Users told", "done": True, "done_by": "Grace Example"},
		{"item": "Code reviewed", "mandatory": False},
		{"phase": "during", "item": "Maintenance mode on"},
		{"phase": "during", "item": "Services restarted"},
		{"phase": "after", "item": "Logs looked at"},
		{"phase": "after", "item": "Documentation updated", "mandatory": False},
	],
	"timeline": [
		{"minute": minute, "phase": phase, "action": action, "duration_minutes": minutes}
		for minute, phase, action, minutes in (
			(-25, "Preparation", "Backup and snapshot", 10.0),
			(-15, "Preparation", "Look at the present state", 5.0),
			(-10, "Preparation", "Tell the team", 5.0),
			(-5, "Preparation", "Last review", 5.0),
			(0, "Deployment", "Maintenance mode on", 1.0),
			(1, "Deployment", "Switch the code", 2.0),
			(3, "Deployment", "Configuration", 1.0),
			(4, "Deployment", "Restart services", 1.0),
			(5, "Validation", "Automated tests", 5.0),
			(10, "Validation", "Smoke tests", 5.0),
			(15, "Validation", "Look at the logs", 2.0),
			(17, "Production", "Maintenance mode off", 1.0),
			(18, "Monitoring", "Watch the sites", 30.0),
			(48, "Closing", "Final report", 5.0),
		)
	],
	"people": [
		{"role": "Deployment lead", "name": "Ada Example", "contact": "+49 30 5550 100"},
		{"role": "Database administrator", "name": "", "contact": ""},
		{"role": "Customer support", "name": "Grace Example", "contact": "support@shop.example"},
	],
}
CHECKS = [
	("Plan approved", "ok", "by administrator@shop.example, unchanged (SHA-256 5f0c2a9be311)", ""),
	("Checklist", "warning", "optional, not done: Code reviewed", "decide whether you want these"),
	("Disk space", "ok", "64 % free (128.4 GB)", ""),
	(
		"Safe place",
		"warning",
		"/backup/safe is on the bench's own disk",
		"use another disk: one failure takes both",
	),
	("Services: web", "ok", "running: frappe-bench-web:frappe-bench-frappe-web", ""),
	("Web: shop.example", "ok", "/api/method/ping answers 200 in 11 ms", ""),
	("Database: shop.example", "ok", "mariadb, reachable, 14 of 151 connections in use", ""),
	("Target of press", "ok", "branch main is at f00a724de1c2, as expected", ""),
]
PREPARE = [
	("announce", "Announce the deployment", 0.8, "2 notified"),
	("baseline", "Baseline", 10.2, "median 11.8 ms, 95th percentile 14.1 ms, 0 of 97 bad"),
	("backup", "Backup", 19.6, "2 site(s) backed up: whole, closing line and SHA-256 checked"),
]
DEPLOY = [
	("maintenance", "Maintenance on", 1.1, "2 site(s) closed: 24 answers in a row were 503"),
	("pause-jobs", "Pause scheduler, drain jobs", 2.4, "paused; no job at work"),
	("mark-logs", "Mark the logs", 0.1, "9 files"),
	("switch-code", "Switch the code", 0.6, "press at f00a724de1c2"),
	("config", "Change the configuration", 0.2, "read back: server_script_enabled = true (site)"),
	("restart", "Restart services", 6.3, "web and workers RUNNING, started after the switch"),
	("stabilise", "Stabilise", 5.2, "20 healthy answers in a row"),
]
VALIDATE = [
	("critical-tests", "Critical tests", 14.8, "3 of 3 as expected on test.shop.example"),
	("smoke-tests", "Smoke tests", 4.4, "8 of 8 in order, through the preview instance"),
	("log-check", "Log check", 0.3, "0 new error(s) since the switch"),
]
UNDO = [
	("rollback-maintenance", "Maintenance on", 0.9, "2 site(s) closed"),
	("undo-config", "Put the configuration back", 0.2, "every key as before, absence included"),
	("undo-switch-code", "Put the code back", 0.5, f"press at {OLD[:12]} on main"),
	("rollback-restart", "Restart services", 5.8, "web and workers RUNNING"),
	("health-check", "Health check", 2.1, "2 site(s) healthy on the former release"),
	("rollback-open", "Maintenance off", 0.7, "2 site(s) open"),
]


class Story:
	"""Writes a run as a runner would: journal, samples and answers, on a clock of its own."""

	def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, plan: dict[str, Any] | None = None):
		for name in ("apps", "sites", "config", "logs"):
			(directory / name).mkdir(parents=True)
		self.clock, self.commit, self.random = BEGIN, OLD, Random(16)
		self.shut: list[tuple[float, float]] = []
		self.restarts: list[float] = []
		self.bench = Bench.open(directory)
		self.spec: PlanSpec = read_plan({**PLAN, **(plan or {})})
		self.run = RunDirectory.create(self.bench.path, self.spec)
		now = SimpleNamespace(now=lambda _zone: datetime.fromtimestamp(self.clock, timezone.utc))
		monkeypatch.setattr(journal, "datetime", now)
		here = SimpleNamespace(position=lambda: SimpleNamespace(commit=self.commit))
		monkeypatch.setattr(summary, "Repository", lambda *_arguments: here)
		self.journal = Journal(self.run.journal)

	def tell(self, event: str, **data: Any) -> None:
		self.clock += 0.001
		self.journal.append(event, data)

	def begin(self, dry_run: bool = False) -> None:
		self.tell("run-created", plan_sha256=self.spec.sha256, run=self.run.name, dry_run=dry_run)
		self.tell("runner-started", pid=4711, resumed=False, python="3.11")

	def announce(self, phase: str, name: str, title: str, seconds: float) -> dict[str, str]:
		facts = {"step": name, "phase": phase, "title": title}
		before = {"git": {"press": {"commit": OLD, "branch": "main"}}} if name == "switch-code" else {}
		self.tell("step-announced", **facts, before=before)
		self.clock += seconds
		return facts

	def do(self, phase: str, name: str, title: str, seconds: float, found: str, **result: Any) -> None:
		begin, facts = self.clock, self.announce(phase, name, title, seconds)
		if name in CLOSING and (not self.shut or self.shut[-1][1] < begin):
			self.shut.append((begin, FAR))
		elif name in OPENING:
			self.shut[-1] = (self.shut[-1][0], self.clock)
		elif name in ("restart", "rollback-restart"):
			self.restarts.append(begin)
		elif name == "baseline":
			figures = {"median": 11.8, "p95": 14.1, "count": 97}
			result = {"latency": {"shop.example": figures}, "overall": figures}
		self.commit = {"switch-code": NEW, "undo-switch-code": OLD}.get(name, self.commit)
		self.tell("step-observed", **facts, result=result, found=found)

	def fail(
		self, phase: str, name: str, title: str, seconds: float, why: str, remedy: str = "see its log"
	) -> dict[str, str]:
		error = {"kind": "StepFailed", "doing": "Observing", "what": title, "why": why, "remedy": remedy}
		self.tell("step-failed", **self.announce(phase, name, title, seconds), error=error)
		return error

	def preflight(self, *more: tuple[str, str, str, str]) -> None:
		self.announce("preflight", "preflight", "Preflight", 3.2)
		for name, outcome, found, remedy in (*CHECKS, *more):
			self.tell("check", name=name, outcome=outcome, found=found, remedy=remedy)

	def prepare(self) -> None:
		facts = {"step": "preflight", "phase": "preflight", "title": "Preflight"}
		self.tell("step-observed", **facts, result={}, found="6 checks in order, 2 warning(s)")
		for step in PREPARE:
			self.do("prepare", *step)
		self.tell(
			"step-skipped",
			step="safe-place",
			phase="prepare",
			title="Copy to the safe place",
			reason="the plan names no safe place",
		)
		self.do(
			"prepare",
			"fetch-code",
			"Fetch the code",
			2.2,
			f"press {NEW[:12]}",
			targets={"press": {"commit": NEW, "branch": "main"}},
		)

	def change(self) -> None:
		for step in DEPLOY:
			self.do("deploy", *step)
		for name in ("requirements", "build", "migrate"):
			self.tell(
				"step-skipped",
				step=name,
				phase="deploy",
				title=name.capitalize(),
				reason="nothing in the difference asks for it",
			)

	def conclude(self, stage: str, verdict: str, *conditions: dict[str, Any], **more: Any) -> None:
		self.tell("verdict", stage=stage, verdict=verdict, conditions=list(conditions), **more)

	def roll_back(self, cause: str, by: str | None = None, until: str = "rollback-open") -> None:
		self.tell("rollback-started", cause=cause, by=by, error=None)
		for step in UNDO:
			if step[0] == until != "rollback-open":
				return
			self.do("rollback", *step)

	def end(self, state: str, reason: str, error: dict[str, str] | None = None) -> None:
		self.tell("run-ended", state=state, reason=reason, **({"error": error} if error else {}))
		self.write_answers()

	def answer(self, moment: float) -> tuple[int | str, str]:
		"""What a visitor would have been told at a moment: status and kind."""
		if any(begin + 1 < moment < begin + 3.5 for begin in self.restarts):
			return "", "refused"
		closed = any(begin + 0.4 < moment < end for begin, end in self.shut)
		return (503, "503") if closed else (200, "good")

	def write_answers(self) -> None:
		"""Ten answers a second and site, from shortly before a closing until a minute after the opening."""
		spans = [(begin - 0.3, min(self.clock, begin + 120.0)) for begin, _end in self.shut]
		spans += [(end - 5.0, min(self.clock, end + 60.0)) for _begin, end in self.shut if end < FAR]
		moments = sorted(
			{round(begin + tick / 10, 1) for begin, end in spans for tick in range(int((end - begin) * 10))}
		)
		with self.run.probes.open("w", newline="") as file:
			writer = csv.writer(file)
			writer.writerow(PROBE_COLUMNS)
			for moment in moments:
				for site in self.spec.site_names:
					latency = f"{self.random.gauss(12, 1):.1f}"
					writer.writerow((f"{moment:.3f}", site, *self.answer(moment), latency))

	def watch(self, seconds: int, latency: Callable[[int], float | None], bad: Callable[[int], int]) -> None:
		self.announce("monitor", "monitor", "Monitor", 0)
		with self.run.samples.open("w", newline="") as file:
			writer = csv.writer(file)
			writer.writerow([*ALWAYS, *list_gauges()])
			for second in range(seconds):
				self.clock += 1
				known, cpu = latency(second), 22 + self.random.gauss(0, 4) + (40 if second % 300 < 6 else 0)
				row = (
					f"{self.clock:.3f}",
					20,
					bad(second),
					"" if known is None else f"{known:.2f}",
					f"{cpu:.1f}",
					f"{41 + second / 900:.1f}",
					14 + second % 5,
					0,
				)
				writer.writerow(row)

	def report(self) -> dict[str, Any]:
		return build_report(self.bench, self.run)
