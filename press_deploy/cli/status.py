"""`press-deploy status`: how a run is doing. Asked often, so that it imports little."""

from __future__ import annotations

import json

import click

from press_deploy.cli.guard import bench_option, translate_errors
from press_deploy.cli.terminal import open_console, show_summary
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.report.summary import summarise


@click.command()
@click.argument("run")
@bench_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@translate_errors
def status(run: str, bench_path: str, as_json: bool) -> None:
	"""Show how a run is doing, or how it ended."""
	bench = Bench.open(bench_path)
	summary = summarise(bench, RunDirectory.open(bench.path, run))
	if as_json:
		click.echo(json.dumps(summary, indent=1, ensure_ascii=False))
	else:
		show_summary(open_console(), summary)
