"""`press-deploy errors`: what went wrong, according to any log files."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from press_deploy.cli.guard import bench_option, translate_errors
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import load_state
from press_deploy.engine.watching import logs


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@bench_option
@click.option(
	"--since", help="Only what was written since then (2026-01-31T22:00), or since a run's switch (its name)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@translate_errors
def errors(files: tuple[Path, ...], bench_path: str, since: str | None, as_json: bool) -> None:
	"""List what FILES say went wrong, the same thing once, by its fingerprint; what is held against a release first.

	Without FILES: all logs of the bench and of its sites.

	\b
	--json: {"findings": [{"fingerprint", "class", "says", "weight" (against, nothing, unknown), "example",
	"count", "files", "first", "last" (epoch seconds, null where no line says when)}]}
	"""
	found = [each.as_data() for each in _find(files, bench_path, since)]
	click.echo(json.dumps({"findings": found}) if as_json else "\n".join(map(_describe, found)) or "no error")


def _find(files: tuple[Path, ...], bench_path: str, since: str | None) -> list[logs.Finding]:
	chosen, moment = [file.resolve() for file in files], _as_moment(since)
	if not files:
		bench = Bench.open(bench_path)
		chosen = logs.log_files([bench.logs, *(bench.site(site) / "logs" for site in bench.sites())])
	if not since or moment is not None:
		return logs.errors_in(chosen, moment)
	marks = _marks_of(Bench.open(bench_path), since)
	if files:
		marks = {file: place for file, place in marks.items() if Path(file) in chosen}
	return logs.errors_since(marks, chosen)


def _marks_of(bench: Bench, run: str) -> logs.Mark:
	"""Where the logs ended at the switch of a run."""
	marks = load_state(RunDirectory.open(bench.path, run)).result("mark-logs").get("marks")
	if marks is None:
		remedy = "name a time (2026-01-31T22:00), or a run that got that far"
		raise InputError("--since", run, "this run marked no logs", remedy)
	return marks


def _as_moment(since: str | None) -> float | None:
	"""Epoch seconds; None where it is no time. Without an offset it is this machine's time."""
	try:
		return datetime.fromisoformat(since).timestamp() if since else None
	except ValueError:
		return None


def _describe(finding: dict[str, Any]) -> str:
	when = " to ".join(_as_text(finding[key]) for key in ("first", "last") if finding[key] is not None)
	where = ", ".join(finding["files"])
	return f"{finding['fingerprint']}  {finding['class']}  {finding['count']} ×  {where}  {when}\n  {finding['example']}"


def _as_text(moment: float) -> str:
	return datetime.fromtimestamp(moment).isoformat(" ", "seconds")
