"""Before sites at work are closed for a rollback: has somebody read what it would lose, and does that still hold?

Invariant: nothing is changed here. Whoever writes between this and the closing is found by `LostDocuments`, which
makes the list again behind closed doors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from press_deploy.engine.databases.losses.of_run import describe_all, find_all
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.finding import find_standbys
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.steps.standby_of_run import is_swapped
from press_deploy.engine.steps.ways_back import find_earlier_way

if TYPE_CHECKING:
	from press_deploy.engine.bench.bench import Bench
	from press_deploy.engine.journal.run_directory import RunDirectory
	from press_deploy.engine.journal.state import RunState


def loses_at_work(state: RunState, database: bool) -> bool:
	"""Whether rolling back takes the database of sites that the run opened again; `database`: somebody asks for it."""
	was_opened_again = state.was_announced("maintenance") and not state.is_closed
	return was_opened_again and (database or state.was_announced("migrate"))


def choose_listed(
	state: RunState, standbys: Mapping[str, StandbyDatabase | None]
) -> dict[str, StandbyDatabase | None]:
	"""Not those that an earlier rollback has put back already: what is live there stays live."""
	return {
		site: standby
		for site, standby in standbys.items()
		if not is_swapped(standby) and not find_earlier_way(state, standby, site)
	}


def find_unread(
	bench: Bench, run: RunDirectory, state: RunState, database: bool, approves: str | None
) -> dict[str, Any] | None:
	"""What would be lost now, as `describe_all`, where `approves` is not its SHA-256; None where nothing is to be read.

	Raises as `list_losses`.
	"""
	if not loses_at_work(state, database):
		return None
	standbys = find_standbys(bench, run, run.read_plan().site_names, state.sites_without_standby)
	listed = describe_all(find_all(choose_listed(state, standbys)))
	return listed if listed["total"] and listed["sha256"] != approves else None


def refuse_unread(bench: Bench, run: RunDirectory, listed: dict[str, Any], approves: str | None) -> Refused:
	"""The refusal of a rollback for what `find_unread` found."""
	rollback = ("rollback", run.name, "--database", "--approve")
	return Refused(
		"Rolling back the database of",
		f"run {run.name}",
		"what would be lost is another list now than the one that was read"
		if approves
		else f"{listed['total']:,} documents, settings or rows would be lost, and nobody has read which",
		f"nothing was changed, the sites are open; read {'it again' if approves else 'them'}: "
		f"{bench.command_to_type('losses', run.name)}; "
		f"then, with the SHA-256 below the list: {bench.command_to_type(*rollback, 'SHA256')}; "
		"where people write all the time, close the sites first and read the list then: "
		f"{bench.command_to_type(*rollback, 'later')}",
	)


def require_read(
	bench: Bench, run: RunDirectory, state: RunState, database: bool, approves: str | None
) -> None:
	"""Raise `Refused` where something would be lost of which `approves` is not the SHA-256; raises as `list_losses`."""
	if unread := find_unread(bench, run, state, database, approves):
		raise refuse_unread(bench, run, unread, approves)
