"""Whatever executes or reads a run goes on in the home of that run, before it looks at it.

Invariant: from there on, nothing of the environment is imported; what was typed is done as it was typed.
"""

from __future__ import annotations

import os
import subprocess
import sys

import click

from press_deploy import __version__
from press_deploy.cli.main import ARGUMENTS
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.homes.home import Home, home_of, running_home
from press_deploy.engine.homes.making import make_home
from press_deploy.engine.journal.run_directory import RunDirectory

installed_option = click.option(
	"--installed",
	is_flag=True,
	help="Do it with the press_deploy that is installed, not from the home of the run.",
)


def go_home(bench: Bench, run: RunDirectory | None, installed: bool) -> None:
	"""Go on in the home of a run; return only where this process is there, or `installed` keeps it here.

	A new run (`run` is None), or one without a home yet, is executed from the home of what is installed, which is
	made where there is none. Raises `Refused` where it can't be made, or used.
	"""
	here = running_home()
	home = home_of(bench, run) if run else None
	if installed or (here and (home is None or home.name == here.name)):
		return
	command = _choose(bench, home).command(*click.get_current_context().meta[ARGUMENTS])
	for stream in (sys.stdout, sys.stderr):
		stream.flush()
	if not bench.is_for_practice:
		os.execv(command[0], command)
	from press_deploy.demo.command import awake

	# It sleeps between two commands, and no home knows the demonstration.
	with awake(bench.path):
		sys.exit(subprocess.run(command).returncode)


def _choose(bench: Bench, home: Home | None) -> Home:
	"""This home. One that is damaged, and none at all, is made of what is installed, if that is the same."""
	if home and home.find_damage() is None:
		return home
	made = make_home(bench, __version__, lambda line: click.echo(line, err=True))
	return home or made
