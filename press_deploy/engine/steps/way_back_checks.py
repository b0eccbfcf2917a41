"""Before sites that are open are closed for a rollback: could it go on to its end?

Invariant: nothing is changed here.
"""

from __future__ import annotations

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.standby.finding import find_standbys
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.journal.lifecycle import FIRST_CHANGE
from press_deploy.engine.journal.run_directory import RunDirectory, list_runs
from press_deploy.engine.journal.state import RunState, State, load_state
from press_deploy.engine.steps.proving import LoadStandby
from press_deploy.engine.steps.requirements import check_environment_kept
from press_deploy.engine.steps.standby_of_run import has_backups, is_listable
from press_deploy.engine.steps.ways_back import find_earlier_way


def check_way_back(bench: Bench, run: RunDirectory, state: RunState, database: bool) -> None:
	"""Raise `Refused` where the rollback would have to stop behind closed doors."""
	check_environment_kept(bench, run, state)
	check_listable(bench, run, state, database)


def check_listable(bench: Bench, run: RunDirectory, state: RunState, database: bool) -> None:
	"""Raise `Refused` where a database is to go back, and nothing is there that it could be listed by or put back from."""
	if not state.was_announced("maintenance") or not (database or state.was_announced("migrate")):
		return
	standbys = find_standbys(bench, run, run.read_plan().site_names, state.sites_without_standby)
	for site, standby in standbys.items():
		is_closed = bool(bench.read_config(site).get("maintenance_mode"))
		is_gone = not has_backups(run, state, site)
		if (is_closed and not state.was_opened and not is_gone) or is_listable(standby):
			continue
		if find_earlier_way(state, standby, site):
			continue
		raise Refused(
			"Rolling back",
			f"run {run.name}",
			f"the database of {site} would go back, and "
			+ (
				"what it would be put back from is not there any more; that goes when its days are over"
				if is_gone
				else "without its standby nobody can say what would be lost"
			),
			f"nothing was changed, the site is {'in maintenance' if is_closed else 'open'}; "
			+ (
				"restore a backup by hand"
				if is_gone or standby is None or not state.is_done(LoadStandby.name)
				else f"make it again first: {bench.command_to_type('standby', '--load', run.name)}"
			),
		)


def refuse_pointless_rollback(bench: Bench, state: RunState, database: bool) -> None:
	"""Raise `Refused` for a run of which nothing is left to undo, or that another one was deployed over."""
	may_follow = database and state.database_may_follow
	if state.state not in (State.SUCCEEDED, State.FATAL) and not may_follow:
		raise Refused(
			"Rolling back",
			f"run {state.run}",
			f"it is {state.state.value}, so there is nothing to undo",
			f"see: {bench.command_to_type('status', state.run)}",
		)
	newer = [run.name for run in list_runs(bench.path) if run.name > state.run]
	states = [load_state(RunDirectory.open(bench.path, name)) for name in newer]
	changed = [
		each.run
		for each in states
		if each.was_announced(FIRST_CHANGE) and each.state is not State.ROLLED_BACK
	]
	if changed:
		raise Refused(
			"Rolling back",
			f"run {state.run}",
			f"{changed[-1]} deployed over it since",
			f"roll back the newest one: {bench.command_to_type('rollback', changed[-1])}",
		)
