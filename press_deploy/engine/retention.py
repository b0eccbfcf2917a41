"""What may go when its time is over: backups, standby databases, quarantines.

Invariant: nothing of an unfinished run, nothing while a run is followed up, and never the last backup of a
site that is proven; what can't be told is kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta, timezone

from press_deploy.engine.backup.catalogue import BackupEntry, find_backups
from press_deploy.engine.backup.rungs import Rung
from press_deploy.engine.bench import Bench
from press_deploy.engine.errors import DeployError
from press_deploy.engine.lock import keep_idle
from press_deploy.engine.plan_backup import Backup
from press_deploy.engine.run_directory import RunDirectory, list_runs
from press_deploy.engine.standby.finding import find_standby
from press_deploy.engine.state import load_state

# A rollback may still want what a run keeps: at least as long as a follow-up lasts.
FOLLOW_UP_DAYS = 7
PROVEN = Rung.RESTORABLE
Say = Callable[[str], None]


def tidy(
	bench: Bench,
	site: str,
	followed_up: Collection[str] = (),
	now: datetime | None = None,
	say: Say = lambda line: None,
) -> list[str]:
	"""Remove what is over its time, and return what was removed, in words.

	Only what belongs to `site`: runs that it controls, and its own backups. `followed_up` are those of its runs
	whose follow-up is open. While a run is under way nothing is touched.
	"""
	now, removed = now or datetime.now(timezone.utc), []
	runs = [run for run in list_runs(bench.path) if run.read_plan().control_site in (site, None)]
	for run in runs:
		if run.name in followed_up:
			continue
		# One at a time, so that nobody who starts a run has to wait for all of them.
		with keep_idle(bench.deployments) as is_idle:
			if is_idle and _is_over(run, now):
				removed += _drop_databases(bench, run, say)
	mine = {run.name for run in runs}
	with keep_idle(bench.deployments) as is_idle:
		for entry in list(find_expired(bench, now, followed_up)) if is_idle else ():
			if not (entry.run in mine or (entry.run is None and entry.site == site)):
				continue
			shutil.rmtree(entry.directory)
			removed.append(f"backup of {entry.site}, {entry.made}")
	for line in removed:
		say(line)
	return removed


def find_expired(bench: Bench, now: datetime, followed_up: Collection[str] = ()) -> Iterator[BackupEntry]:
	"""The backups that nobody needs any more: too old, not followed up, and not the last one worth anything."""
	for site in {entry.site for entry in find_backups(bench)}:
		entries = find_backups(bench, site)
		kept = next((entry for entry in entries if entry.reached >= PROVEN), None) or _best(entries)
		for entry in entries:
			is_used = entry.run is not None and (
				entry.run in followed_up or not _is_over_run(bench, entry.run, now)
			)
			if entry is not kept and not is_used and _age(entry, now) > timedelta(days=_days(bench, entry)):
				yield entry


def _best(entries: list[BackupEntry]) -> BackupEntry:
	"""Where none is proven, the newest of those that are proven best."""
	return max(entries, key=lambda entry: (entry.reached, entry.made))


def _age(entry: BackupEntry, now: datetime) -> timedelta:
	return now - datetime.fromisoformat(entry.made)


def _days(bench: Bench, entry: BackupEntry) -> int:
	if entry.run is None:
		return Backup().retention_days
	return RunDirectory.open(bench.path, entry.run).read_plan().backup.retention_days


def _is_over_run(bench: Bench, name: str, now: datetime) -> bool:
	return _is_over(RunDirectory.open(bench.path, name), now)


def _is_over(run: RunDirectory, now: datetime) -> bool:
	"""Whether a run ended, and longer ago than its follow-up lasts."""
	state = load_state(run)
	if state.started is None or state.is_unfinished or state.ended is None:
		return False
	return now - datetime.fromisoformat(state.ended) > timedelta(days=FOLLOW_UP_DAYS)


def _drop_databases(bench: Bench, run: RunDirectory, say: Say) -> Iterator[str]:
	notes = run.private / "standby"
	for site in sorted(path.name for path in notes.glob("*")) if notes.is_dir() else ():
		try:
			standby = find_standby(bench, site, run.name, notes / site)
			if standby:
				standby.drop_standby()
				standby.drop_quarantine()
				shutil.rmtree(notes / site)
				yield f"standby and quarantine of {site}, run {run.name}"
		except (DeployError, OSError) as error:
			# It is tried again tomorrow.
			say(f"The databases that run {run.name} keeps for {site} could not be removed: {error}")
