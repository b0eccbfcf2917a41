"""The demonstration: deployments on a practice bench, executed by the real engine.

Invariant: the practice bench's services are stopped in the end; a directory that was not asked for is
removed again, except for the reports.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from press_deploy.demo.build import open_or_build
from press_deploy.demo.places import Places
from press_deploy.demo.practice_bench import WEB_APPLICATION, PracticeBench
from press_deploy.demo.releases import DEMONSTRATED
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import EXIT_CODES, State

GOOD, BAD = "good", "http-errors"
LONGEST_MONITOR_SECONDS = 86_400


def demo(
	release: str | None = None, directory: Path | str | None = None, monitor_seconds: float = 10.0
) -> int:
	"""Deploy a release and return the run's exit code.

	Without `release`, show one GO and one automatic rollback, and return 0 if that is what came of them.
	"""
	_check(release, monitor_seconds)
	with _open_bench(directory) as (bench, reports):
		if release:
			state, _report = _deploy(bench, release, monitor_seconds, reports)
			return EXIT_CODES.get(state, 1)
		good, good_report = _deploy(bench, GOOD, monitor_seconds, reports)
		bad, bad_report = _deploy(bench, BAD, monitor_seconds, reports)
		print(f"\n{GOOD}: {good.value}, {good_report}\n{BAD}: {bad.value}, {bad_report}")
		return 0 if (good, bad) == (State.SUCCEEDED, State.ROLLED_BACK) else 1


@contextmanager
def awake(bench_path: Path) -> Iterator[None]:
	"""Run the services of a kept practice bench meanwhile, if nobody runs them; leave any other bench alone."""
	practice = Bench(bench_path).web_application == WEB_APPLICATION
	bench = PracticeBench(Places.below(bench_path.parent)) if practice else None
	if bench is None or bench.ask().status is not None:
		yield
		return
	bench.start()
	try:
		yield
	finally:
		bench.stop()


def _check(release: str | None, monitor_seconds: float) -> None:
	if release is not None and release not in DEMONSTRATED:
		raise InputError(
			"release", release, "there is no such release", f"use one of {', '.join(DEMONSTRATED)}"
		)
	if not 0 <= monitor_seconds <= LONGEST_MONITOR_SECONDS:
		remedy = f"use 0 to {LONGEST_MONITOR_SECONDS}"
		raise InputError("monitor", monitor_seconds, "it is no length of time to monitor for", remedy)


@contextmanager
def _open_bench(directory: Path | str | None) -> Iterator[tuple[PracticeBench, Path | None]]:
	"""A bench with its services; and where reports are to be copied, if its directory will not be kept."""
	kept = directory is not None
	place = Path(directory) if kept else Path(tempfile.mkdtemp(prefix="press-deploy-demo-"))
	reports = None if kept else Path(tempfile.mkdtemp(prefix="press-deploy-reports-"))
	bench = open_or_build(place)
	try:
		bench.start()
		print(
			f"practice bench: {bench.path}, serving {bench.served_version()} at {bench.address}\n", flush=True
		)
		yield bench, reports
	except Exception:
		print(f"The practice bench is kept, so that the cause can be found: {bench.directory}", flush=True)
		kept = True
		raise
	finally:
		bench.stop() if kept else bench.remove()
		if kept:
			print(
				f"stopped; to start its services again: python -m press_deploy.demo start {bench.directory}"
			)


def _deploy(
	bench: PracticeBench, release: str, monitor_seconds: float, reports: Path | None
) -> tuple[State, Path]:
	"""One run; returns its end and where its report is."""
	# Late, for the terminal is of no use to those who only want a practice bench.
	from press_deploy.cli.terminal import TerminalListener
	from press_deploy.engine.execution.execution import execute

	run = RunDirectory.create(bench.path, bench.plan(release, monitor_seconds))
	state = execute(Bench.open(bench.path), run, listeners=[TerminalListener()], by_shell=True)
	report = _keep_report(run, reports) if reports else run.report_html
	print(f"{release}: {state.value}; serving {bench.served_version()}\nreport: {report}", flush=True)
	return state, report


def _keep_report(run: RunDirectory, reports: Path) -> Path:
	target = reports / run.name
	target.mkdir()
	for file in (run.report_html, run.report_json):
		if file.exists():
			shutil.copy(file, target)
	return target / run.report_html.name
