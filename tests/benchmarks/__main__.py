"""`make bench`: what the engine costs, measured on this machine and printed as a table.

Figures are medians; each line says over how many measurements.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from press_deploy.demo.build import build_bench
from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import State, load_state
from press_deploy.engine.report.summary import summarise
from press_deploy.engine.watching import logs
from tests.faults.bench_state import QUICK, create_run, quick_plan, resume

APPENDS, LOG_MEGABYTES, RUNS = 500, 64, 3


def measure_journal(directory: Path) -> tuple[str, float, str]:
	journal = Journal(directory / "journal.jsonl")
	seconds = time_of(lambda: [journal.append("note", {"text": "x" * 100}) for _ in range(APPENDS)])
	journal.close()
	return "Journal appends, each with fsync", APPENDS / seconds, "a second"


def measure_log_check(directory: Path) -> tuple[str, float, str]:
	file = directory / "web.log"
	file.write_text("")
	marks = logs.mark([file])
	line = b'127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] "GET /api/method/ping HTTP/1.1" 200 18 0.004\n'
	block = line * 999 + b"2026-01-01 00:00:00,000 ERROR frappe something went wrong with order 4711\n"
	with file.open("ab") as output:
		while output.tell() < LOG_MEGABYTES * 1e6:
			output.write(block)
	seconds = time_of(lambda: logs.errors_since(marks, [file]))
	return "Log check", LOG_MEGABYTES / seconds, "MB a second"


def measure_runs(bench: PracticeBench) -> list[tuple[str, float, str]]:
	"""Full runs on the practice bench: a good release and a bad one, in turns."""
	figures: dict[str, list[float]] = {}
	for _ in range(RUNS):
		good = execute(bench, "good", State.SUCCEEDED)
		take(figures, "Engine overhead of a run, beside its steps", overhead_of(bench, good))
		take(figures, "Maintenance on → observed", duration_of(bench, good, "maintenance"))
		take(figures, "Maintenance off → observed", duration_of(bench, good, "open"))
		take(figures, "Downtime of a good release", summarise_run(bench, good)["downtime_seconds"])
		back_to_start(bench)
		bad = execute(bench, "http-errors", State.ROLLED_BACK)
		take(figures, "Code rollback: decision → old version healthy", rollback_seconds(bad))
		take(figures, "Downtime of a bad release", summarise_run(bench, bad)["downtime_seconds"])
	return [(name, median(values), "s") for name, values in figures.items()]


def execute(bench: PracticeBench, release: str, expected: State) -> RunDirectory:
	run = create_run(bench, quick_plan(bench, release, **QUICK))
	state = resume(bench, run)
	assert state is expected, load_state(run).reason
	return run


def back_to_start(bench: PracticeBench) -> None:
	execute(bench, "v1", State.SUCCEEDED)


def overhead_of(bench: PracticeBench, run: RunDirectory) -> float:
	"""From the first record to the last, without the time inside steps."""
	records = load_state(run)
	summary = summarise_run(bench, run)
	spans = [moment(step["ended"]) - moment(step["started"]) for step in summary["steps"]]
	return moment(records.ended) - moment(records.started) - sum(spans)


def duration_of(bench: PracticeBench, run: RunDirectory, name: str) -> float:
	step = load_state(run).steps[name]
	return moment(step.ended) - moment(step.started)


def rollback_seconds(run: RunDirectory) -> float:
	state = load_state(run)
	return moment(state.steps["health-check"].ended) - moment(state.rollback["time"])


def summarise_run(bench: PracticeBench, run: RunDirectory) -> dict:
	return summarise(Bench.open(bench.path), run)


def moment(text: str) -> float:
	return datetime.fromisoformat(text).timestamp()


def take(figures: dict[str, list[float]], name: str, value: float) -> None:
	figures.setdefault(name, []).append(value)


def time_of(act: Callable[[], object]) -> float:
	begun = time.perf_counter()
	act()
	return time.perf_counter() - begun


def main() -> None:
	with tempfile.TemporaryDirectory(prefix="press-deploy-bench-") as name:
		directory = Path(name)
		rows = [measure_journal(directory), measure_log_check(directory)]
		bench = build_bench(directory / "practice")
		try:
			bench.start()
			rows += measure_runs(bench)
		finally:
			bench.kill()
	table = Table("figure", "value", "unit")
	for figure, value, unit in rows:
		table.add_row(figure, f"{value:,.3g}" if value < 100 else f"{value:,.0f}", unit)
	Console(width=100).print(table)


if __name__ == "__main__":
	main()
