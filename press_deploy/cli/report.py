"""`press-deploy report`: the report of a run, written again."""

from __future__ import annotations

import click

from press_deploy.cli.guard import bench_option, translate_errors
from press_deploy.cli.home import go_home, home_options
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.report.writing import write_report


@click.command()
@click.argument("run")
@bench_option
@home_options
@translate_errors
def report(run: str, bench_path: str, installed: bool, here: bool) -> None:
	"""Write the report of a run again, and print where it is."""
	bench = Bench.open(bench_path)
	directory = RunDirectory.open(bench.path, run)
	go_home(bench, directory, installed, here)
	write_report(bench, directory)
	click.echo(f"{directory.report_html}\n{directory.report_json}")
