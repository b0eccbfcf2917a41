"""A home on the disk, and which one belongs to a run.

Invariant: a run is executed from the home that its journal names, whatever version of this app is installed by then.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.homes import start
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import load_state

HOMES, START = "homes", start.START


@dataclass(frozen=True)
class Home:
	path: Path

	@property
	def name(self) -> str:
		return self.path.name

	def command(self, *arguments: str) -> list[str]:
		"""The argument list of `press-deploy ARGUMENTS` of this home, which is whole; it looks by itself once more."""
		python = start.read_facts(str(self.path))["python"]
		return [python, *start.ISOLATION, str(self.path / START), *arguments]

	def find_damage(self) -> str | None:
		"""What keeps it from being used, as a sentence; None when it is whole."""
		return start.find_damage(str(self.path))

	def has_the_same_files(self, other: Home) -> bool:
		"""Whether another home differs in its interpreter alone."""
		try:
			mine, its = (start.read_facts(str(each.path)) for each in (self, other))
		except ValueError:
			return False
		return (mine["version"], mine["files"]) == (its["version"], its["files"])

	def give_to(self, run: RunDirectory) -> None:
		"""Let people, and the helper, find in the directory of a run what it is executed from. Raises `OSError`."""
		target = Path("..", HOMES, self.name, START)
		link = run.path / START
		if not link.is_symlink() or link.readlink() != target:
			link.unlink(missing_ok=True)
			link.symlink_to(target)


def running_home() -> Home | None:
	"""The home that this process was started from; None where it is the environment's own."""
	place = Path(__file__).parents[4]
	return Home(place) if sys.flags.no_site and (place / start.FACTS).is_file() else None


def home_of(bench: Bench, run: RunDirectory) -> Home | None:
	"""The home that a run is executed from; None where it has not begun, or was begun by a version without homes."""
	named = load_state(run).home
	if named is None:
		link = run.path / START
		named = link.readlink().parent.name if link.is_symlink() else None
	return Home(bench.deployments / HOMES / named) if named else None
