"""What the standby of a run is good for when its database goes back, and how one that was lost is made again.

Invariant: a final backup that is only a difference never goes without the standby that it was brought into.
"""

from __future__ import annotations

from typing import Any

from press_deploy.engine.databases import backup_files
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.ground.progress import Progress
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState
from press_deploy.engine.steps.final_backup import FinalBackup
from press_deploy.engine.steps.proving import LoadStandby
from press_deploy.engine.steps.run import Run


def is_listable(standby: StandbyDatabase | None) -> bool:
	"""Whether it can be compared with what is live, or is live already."""
	return standby is not None and (standby.is_loaded() or standby.is_swap_begun())


def is_swapped(standby: StandbyDatabase | None) -> bool:
	"""Whether what is live may be the backup already: a swap that was begun is completed, not listed."""
	return standby is not None and standby.is_swap_begun()


def is_swap_complete(standby: StandbyDatabase | None) -> bool:
	"""Whether the standby went live as a whole, by what its note says; `observe_swapped` asks reality."""
	return is_swapped(standby) and not standby.is_swap_under_way()


def make_again(run: Run, standby: StandbyDatabase) -> None:
	"""Make a standby that was lost again, and note it. Raises `StepFailed`."""
	meter = run.measure(f"{standby.site}, making the standby database again")
	rebuild(standby, run.directory, run.state, meter)
	run.note(f"The standby database of {standby.site} was lost; it was made again from the backups.")


def rebuild(
	standby: StandbyDatabase, run: RunDirectory, state: RunState, progress: Progress
) -> dict[str, Any]:
	"""Make it again as the final backup left it, where there is one: {"tables"}. Raises `StepFailed`."""
	final = run.final_backup_of(standby.site) if state.is_done(FinalBackup.name) else None
	return standby.rebuild(run.backup / standby.site, final, progress)


def has_backups(run: RunDirectory, state: RunState, site: str) -> bool:
	"""Whether the backups are there that its database would be put back from, where no standby is: they expire."""
	final = [run.final_backup_of(site)] if state.is_done(FinalBackup.name) else []
	return all(path.is_dir() for path in (run.backup / site, *final))


def had_standby(run: RunDirectory, state: RunState, site: str) -> bool:
	"""A final backup that is whole in itself was made because there was no standby, and is imported instead."""
	if site in state.sites_without_standby:
		return False
	return state.is_done(LoadStandby.name) and not backup_files.is_verified(run.final_backup_of(site))


def can_be_made_again(run: Run, standby: StandbyDatabase | None) -> bool:
	return standby is not None and had_standby(run.directory, run.state, standby.site)
