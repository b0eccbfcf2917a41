"""`press-deploy demo`: deployments to look at, on a bench for practice."""

from __future__ import annotations

import sys

import click

from press_deploy.cli.guard import translate_errors
from press_deploy.demo.command import demo as show_demo


@click.command()
@click.option(
	"--release", help="One release only: good, failing-tests, http-errors, slow, broken-import, log-errors."
)
@click.option(
	"--directory", type=click.Path(file_okay=False), help="Build the practice bench here, and keep it."
)
@click.option("--monitor", default=10.0, show_default=True, help="Seconds to monitor the opened site.")
@translate_errors
def demo(release: str | None, directory: str | None, monitor: float) -> None:
	"""Deploy on a practice bench of real parts: git, supervisor, gunicorn, SQLite."""
	sys.exit(show_demo(release, directory, monitor))
