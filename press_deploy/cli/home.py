"""Whatever executes or reads a run goes on in the home of that run, before it looks at it.

Invariant: from there on, nothing of the environment is imported; what was typed is done as it was typed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import click

from press_deploy import __version__
from press_deploy.cli.main import ARGUMENTS
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.homes.home import START, Home, home_of, running_home
from press_deploy.engine.journal.run_directory import RunDirectory

INSTALLED, HERE = "--installed", "--here"


def home_options(command: Callable[..., Any]) -> Callable[..., Any]:
	"""The options that `go_home` is told: where a command is to be done."""
	said = "Go on with the press_deploy that is installed, not from the home of the run."
	command = click.option(INSTALLED, is_flag=True, help=said)(command)
	# What a home is told that takes the place of the one that the run names; this process stays where it is.
	return click.option(HERE, is_flag=True, hidden=True)(command)


def go_home(bench: Bench, run: RunDirectory | None, installed: bool, here: bool) -> None:
	"""Go on in the home of the run; return only where this process is there, or was told to stay.

	A new run (`run` is None), and one that has no home yet, is executed from the home of what is installed, which is
	made where there is none. `installed`: so is this one, whatever home it has, and goes on so. Raises `Refused` where
	a home can't be made, or used.
	"""
	present = running_home()
	home = home_of(bench, run) if run else None
	typed = [each for each in click.get_current_context().meta[ARGUMENTS] if each != HERE]
	if here or (present and not installed and (home is None or home.name == present.name)):
		return
	damage = home.find_damage() if home and not installed else None
	if home and not installed and damage is None:
		return _become(bench, home.command(*typed))
	if present:
		# What is installed is known to the environment alone.
		return _become(bench, [str(bench.environment / "bin" / START), *typed])
	made = _make(bench)
	if damage and not made.has_the_same_files(home):
		raise Refused(
			"Starting press_deploy from",
			str(home.path),
			damage,
			f"put that back, or, as far as the versions get along, go on with what is installed: add {INSTALLED}",
		)
	_become(bench, made.command(*(each for each in typed if each != INSTALLED), HERE))


def _make(bench: Bench) -> Home:
	# Late: what reads the metadata of packages is the first to fall over a broken one.
	from press_deploy.engine.homes.making import make_home

	return make_home(bench, __version__, lambda line: click.echo(line, err=True))


def _become(bench: Bench, command: list[str]) -> None:
	for stream in (sys.stdout, sys.stderr):
		stream.flush()
	if not bench.is_for_practice:
		os.execv(command[0], command)
	from press_deploy.demo.command import awake

	# It sleeps between two commands, and no home knows the demonstration. Ctrl-C is for who is at work there.
	signal.signal(signal.SIGINT, lambda *_: None)
	with awake(bench.path):
		sys.exit(subprocess.run(command).returncode)
