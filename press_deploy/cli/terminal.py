"""What a terminal shows of a run while it is executed."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.journal.journal import Record
from press_deploy.engine.journal.state import UNCHANGED, UNFINISHED, RunState, State

if TYPE_CHECKING:
	from press_deploy.engine.steps.base import Step

_COLOURS = {
	State.SUCCEEDED: "green",
	State.CHECKED: "green",
	State.ROLLED_BACK: "yellow",
	State.WAITING: "yellow",
	State.ABORTED: "yellow",
	State.REFUSED: "red",
	State.FATAL: "bold red",
}
_OUTCOMES = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failed": "[red]✗[/]"}


# Nothing is folded in a file or a pipe.
NO_LIMIT = 100_000


def open_console() -> Console:
	"""The console of this process, as wide as its terminal; where there is none, as wide as its lines are long."""
	console = Console(highlight=False, soft_wrap=True)
	return console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=NO_LIMIT)


class TerminalListener:
	"""Prints each record of the journal as it is written: one line a step, one line a check."""

	def __init__(self, console: Console | None = None):
		self.console = console or open_console()
		self._phase = ""
		self._begun: dict[str, float] = {}

	def journal_appended(self, record: Record, state: RunState) -> None:
		printer = getattr(self, f"_{record.event.replace('-', '_')}", None)
		if printer:
			printer(record.data, state)

	def effect_made(self, step: Step) -> None:
		"""What a step did is shown when it was observed."""

	def progress_made(self, line: str) -> None:
		"""One line that the next replaces; a log file gets none of them."""
		if self.console.is_terminal:
			self.console.print(f"   … {escape(line)}\x1b[K", end="\r", soft_wrap=True)

	def _run_created(self, data: dict, state: RunState) -> None:
		self.console.print(f"run: {data['run']}")

	def _runner_started(self, data: dict, state: RunState) -> None:
		if data["resumed"]:
			self.console.print(f"resuming: {state.run}")

	def _check(self, data: dict, state: RunState) -> None:
		_print_check(self.console, data)

	def _step_announced(self, data: dict, state: RunState) -> None:
		self._begun[data["step"]] = time.monotonic()
		self._show_phase(data["phase"])
		if self.console.is_terminal:
			self.console.print(f" … {escape(data['title'])}", end="\r")

	def _step_observed(self, data: dict, state: RunState) -> None:
		self._show_phase(data["phase"])
		now = time.monotonic()
		seconds = now - self._begun.get(data["step"], now)
		self.console.print(
			f" {self._sign(data['result'])} {escape(data['title'])} [dim]({seconds:.1f} s)[/] {escape(data['found'])}"
		)

	def _sign(self, result: dict) -> str:
		"""A step that looked is done when it has looked; what it saw may be bad all the same."""
		holds = [condition["holds"] is True for condition in result.get("conditions", [])]
		return "[green]✓[/]" if all(holds) else "[red]✗[/]"

	def _step_failed(self, data: dict, state: RunState) -> None:
		self._show_phase(data["phase"])
		error = data["error"]
		self.console.print(f" [red]✗[/] {escape(data['title'])}: {escape(error['why'])}")
		if error["remedy"]:
			self.console.print(f"   → {escape(error['remedy'])}")

	def _note(self, data: dict, state: RunState) -> None:
		self.console.print(f"   [yellow]note[/] {escape(data['text'])}")

	def _verdict(self, data: dict, state: RunState) -> None:
		for condition in data["conditions"]:
			sign = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]?[/]"}[condition["holds"]]
			evidence = f" — {condition['evidence']}" if condition["evidence"] else ""
			text = f"{condition['name']}: {condition['value']} (wanted {condition['threshold']}){evidence}"
			self.console.print(f"   {sign} {escape(text)}")
		self.console.print(f"   verdict {data['stage']}: [bold]{data['verdict']}[/]")

	def _trigger(self, data: dict, state: RunState) -> None:
		self.console.print(
			f"   [red]trigger[/] {escape(data['name'])}: {escape(data['value'])} → {data['action']}"
		)

	def _waiting(self, data: dict, state: RunState) -> None:
		# What can be answered stands in the summary, with which the command ends.
		self.console.print(f"[yellow]waiting for a person[/]: {escape(data['reason'])}")

	def _rollback_started(self, data: dict, state: RunState) -> None:
		self.console.print(f"[yellow]rolling back[/]: {escape(data['cause'])}")

	def _rollback_abandoned(self, data: dict, state: RunState) -> None:
		self.console.print(f"[yellow]not rolled back[/]: {escape(data['reason'])}")

	def _run_ended(self, data: dict, state: RunState) -> None:
		colour = _COLOURS.get(State(data["state"]), "white")
		self.console.print(f"[{colour}]{data['state']}[/]: {escape(data['reason'])}")

	def _show_phase(self, phase: str) -> None:
		if phase != self._phase:
			self._phase = phase
			self.console.print(f"[bold]{phase}[/]")


def _print_check(console: Console, check: dict) -> None:
	console.print(
		f"   {_OUTCOMES[check['outcome']]} {escape(check['name'])}: [dim]{escape(check['found'])}[/]"
	)
	if check["outcome"] != "ok" and check["remedy"]:
		console.print(f"     → {escape(check['remedy'])}")


def show_summary(console: Console, summary: dict) -> None:
	"""A run as `press-deploy status` shows it."""
	state = State(summary["state"])
	console.print(f"run: {summary['run']}  ({escape(summary['title'])})")
	alive = "" if not summary["alive"] else ", a runner is at work"
	console.print(
		f"state: [{_COLOURS.get(state, 'white')}]{state.value}[/]{alive}   verdict: {summary['verdict'] or '–'}"
	)
	console.print(
		f"sites: {', '.join(summary['sites'])}{' (closed by this run)' if summary['closed'] else ''}"
	)
	console.print(f"started: {summary['started'] or '–'}   ended: {summary['ended'] or '–'}")
	if summary["reason"]:
		console.print(f"reason: {escape(summary['reason'])}")
	# A refusal names each of its checks with what to do about it.
	if state is not State.REFUSED and (remedy := (summary["error"] or {}).get("remedy")):
		console.print(f"  → {escape(remedy)}")
	if state is State.REFUSED:
		for check in summary["checks"]:
			if check["outcome"] == "failed":
				_print_check(console, check)
	for line in what_now(summary):
		console.print(escape(line))
	console.print(f"downtime: {summary['downtime_seconds']:g} s")
	_print_steps(console, summary["steps"])
	for app in summary["apps"]:
		console.print(
			f"{app['name']}: before {_short(app['before'])}, wanted {_short(app['wanted'])}, now {_short(app['now'])}"
		)
	if summary["report"]:
		console.print(f"report: {escape(summary['report'])}")


def _print_steps(console: Console, steps: list[dict]) -> None:
	rows = [("phase", "step", "status", "found")]
	for step in steps:
		found = step["error"]["why"] if step["error"] else step["found"]
		rows.append((step["phase"], step["title"], step["status"], found))
	if not console.is_terminal:
		# In a file or a pipe nothing is folded, and nothing is filled up to the longest line either.
		widths = [max(len(row[column]) for row in rows) for column in range(3)]
		for row in rows:
			line = "  ".join((*map(str.ljust, row, widths), row[3]))
			console.print(escape(line.rstrip()))
		return
	table = Table(box=None, pad_edge=False)
	for column in rows[0]:
		# A name or a path that is cut off is of no use.
		table.add_column(column, overflow="fold")
	for row in rows[1:]:
		table.add_row(*map(escape, row))
	console.print(table)


def what_now(summary: dict) -> list[str]:
	"""What a person can do about a run that isn't over and has nobody at work on it."""
	state, command = State(summary["state"]), partial(_command, summary)
	if state is State.FATAL:
		return [f"→ mend the cause, then: {command('rollback')}"]
	if state in UNCHANGED and summary["keeps_databases"]:
		dropped = Bench(Path(summary["bench"])).command_to_type("standby", "--drop", summary["run"])
		sites = ", ".join(summary["keeps_databases"])
		return [
			f"Standby databases of {sites} are left; they are dropped by the next daily tidying. At once: {dropped}"
		]
	if state not in UNFINISHED or summary["alive"]:
		return []
	if state is State.WAITING:
		return _who_decides(summary["waiting"], command, closed=summary["closed"])
	if state is State.PENDING:
		return [f"→ not begun; start it: {command('resume')}"]
	# The helper sees a runner die, but not one leave; the scheduler looks every four minutes (`hooks.py`).
	later = (
		"when its lease expires, in 30 s at most."
		if summary["closed"]
		else "by Frappe's scheduler, where it is on, within five minutes."
	)
	resumed = f"With a helper it is resumed at once if its process was killed; else {later}"
	return [
		f"No runner is at work on this run. {resumed}",
		f"→ {command('resume')}",
		f"→ {command('rollback')}",
	]


def _who_decides(waiting: dict, command: Callable[..., str], *, closed: bool) -> list[str]:
	deadline = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(waiting["deadline"]))
	follows = {"roll_back": "it is rolled back", "keep": "the sites are opened again as they are"}
	follow = follows.get(waiting["when_nobody_decides"])
	lines = [f"If nobody decides until {deadline} UTC, {follow}."] if follow else []
	if waiting.get("approve"):
		if closed:
			lines.insert(0, "The sites are closed meanwhile.")
		lines.append(f"→ read what would be lost, by name: {command('losses')}")
		lines.append(f"→ approve what is lost: {command('decide', 'approve', '--list', waiting['approve'])}")
		keep = [f"→ give the rollback up: {command('decide', 'go')}"] if waiting["accepts_go"] else []
		return [*lines, *keep]
	if waiting["accepts_go"]:
		return [*lines, f"→ {command('decide', 'go')}", f"→ {command('decide', 'no-go')}"]
	keep = [] if closed else [f"→ keep the release as it is: {command('decide', 'go')}"]
	return [*lines, f"→ {command('rollback')}", *keep]


def _command(summary: dict, command: str, *more: str) -> str:
	return Bench(Path(summary["bench"])).command_to_type(command, summary["run"], *more)


def _short(commit: str | None) -> str:
	return commit[:12] if commit else "–"
