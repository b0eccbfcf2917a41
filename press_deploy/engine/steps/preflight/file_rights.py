"""May the runner's user write to what the run is going to change? A command typed as root leaves much that he may not."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from press_deploy.engine.ground.checks import Check, fail, ok
from press_deploy.engine.ground.users import name_user
from press_deploy.engine.homes.home import HOMES
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.run import Run

NAME = "Rights"
# Too many to look at, and nothing that a switch of the code replaces; homes are made such that nobody writes to them.
_PASSED_OVER = {"node_modules", "__pycache__", HOMES}


def check_file_rights(run: Run, ports: Ports) -> Iterator[Check]:
	"""Each place by itself: its remedy is one command."""
	sites = run.bench.sites_directory
	places = {
		run.bench.deployments: _directories(run.bench.deployments, depth=3),
		**{path: _directories(path) for path in (run.bench.app(app.name) for app in run.spec.apps)},
		sites: [sites, sites / "assets", *(sites / site for site in run.spec.site_names)],
	}
	refused = [check for place, paths in places.items() for check in _look(place, paths)]
	yield from refused or [
		ok(NAME, f"{name_user(os.geteuid())} may write to the apps, the sites and the runs")
	]


def _look(place: Path, directories: Iterator[Path] | list[Path]) -> Iterator[Check]:
	closed = [path for path in directories if os.path.isdir(path) and not _may_write(path)]
	if closed:
		owner, more = (
			name_user(closed[0].stat().st_uid),
			f", and {len(closed) - 1} more" if closed[1:] else "",
		)
		user = name_user(os.geteuid())
		yield fail(
			NAME,
			f"{user} may not write to {closed[0]}{more}: it belongs to {owner}",
			f"sudo chown -R {user}: {shlex.quote(str(place))}",
		)


def _may_write(path: Path) -> bool:
	return os.access(path, os.R_OK | os.W_OK | os.X_OK, effective_ids=True)


def _directories(top: Path, depth: int | None = None) -> Iterator[Path]:
	"""The directory and those below it, to this depth; also those that can't be entered."""
	yield top
	for path, below, _files in os.walk(top):
		level = len(Path(path).relative_to(top).parts)
		ends = depth is not None and level + 1 >= depth
		below[:] = [] if ends else [name for name in below if name not in _PASSED_OVER]
		yield from (Path(path, name) for name in below if not os.path.islink(os.path.join(path, name)))
