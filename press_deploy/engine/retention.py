"""What may go when its time is over: backups, standby databases, quarantines.

Invariant: nothing of a run that is unfinished, or that ended Fatal and still keeps databases; nothing while a
run is followed up, never the last backup of a site that is proven, and no quarantine that was not exported.
What can't be told is kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta, timezone

from press_deploy.engine.backup.catalogue import BackupEntry, find_backups
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.bench import Bench
from press_deploy.engine.errors import DeployError, Refused
from press_deploy.engine.lock import keep_idle
from press_deploy.engine.plan_backup import Backup
from press_deploy.engine.run_directory import RunDirectory, list_runs
from press_deploy.engine.standby.base import StandbyDatabase
from press_deploy.engine.standby.finding import find_standby
from press_deploy.engine.state import State, load_state

# A rollback may still want what a run keeps: at least as long as a follow-up lasts.
FOLLOW_UP_DAYS = 7
PROVEN = Rung.RESTORABLE
# The step that writes down what a rollback of the database took out of it.
EXPORT = "export-losses"
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
	runs = list(_find_runs(bench, site, say))
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


def _find_runs(bench: Bench, site: str, say: Say) -> Iterator[RunDirectory]:
	"""Those that `site` controls; of one that can't be read, nothing is removed."""
	for run in list_runs(bench.path):
		try:
			if run.read_plan().control_site in (site, None):
				load_state(run)
				yield run
		except DeployError as error:
			say(f"Of run {run.name} everything is kept, as it can't be read: {error}")


def find_expired(bench: Bench, now: datetime, followed_up: Collection[str] = ()) -> Iterator[BackupEntry]:
	"""The backups that nobody needs any more: too old, not followed up, and not the last one worth anything."""
	for site in {entry.site for entry in find_backups(bench)}:
		entries = find_backups(bench, site)
		kept = _choose_kept(entries)
		for entry in entries:
			is_used = entry.run is not None and (
				entry.run in followed_up or not _is_over_run(bench, entry.run, now)
			)
			if entry not in kept and not is_used and _age(entry, now) > timedelta(days=_days(bench, entry)):
				yield entry


def _choose_kept(entries: list[BackupEntry]) -> list[BackupEntry]:
	"""Those that stay however old they are: the newest that is proven, whatever rung below was not asked of it.

	Where none is proven: the best, and the best of those that did not fail their proof. Which of the two is
	worth more, nobody can tell: what failed may have been the server.
	"""
	proven = [entry for entry in entries if Proof(entry.directory).has(PROVEN)]
	if proven:
		return proven[:1]
	unfailed = [entry for entry in entries if not _has_failed(entry)]
	return [
		max(group, key=lambda entry: (entry.reached, entry.made)) for group in (entries, unfailed) if group
	]


def _has_failed(entry: BackupEntry) -> bool:
	proof = Proof(entry.directory)
	return any(proof.has_failed(rung) for rung in Rung if rung <= PROVEN)


def _age(entry: BackupEntry, now: datetime) -> timedelta:
	return now - datetime.fromisoformat(entry.made)


def _days(bench: Bench, entry: BackupEntry) -> int:
	if entry.run is None:
		return Backup().retention_days
	return RunDirectory.open(bench.path, entry.run).read_plan().backup.retention_days


def _is_over_run(bench: Bench, name: str, now: datetime) -> bool:
	try:
		return _is_over(RunDirectory.open(bench.path, name), now)
	except DeployError:
		return False


def _is_over(run: RunDirectory, now: datetime) -> bool:
	"""Whether a run ended, and longer ago than its follow-up lasts.

	What users wrote may be in the quarantine of a Fatal one alone: it is over when a person dropped its databases.
	"""
	state = load_state(run)
	if state.started is None or state.is_unfinished or state.ended is None:
		return False
	if state.state is State.FATAL and any((run.private / "standby").glob("*")):
		return False
	return now - datetime.fromisoformat(state.ended) > timedelta(days=FOLLOW_UP_DAYS)


def _drop_databases(bench: Bench, run: RunDirectory, say: Say) -> Iterator[str]:
	notes = run.private / "standby"
	for site in sorted(path.name for path in notes.glob("*")) if notes.is_dir() else ():
		try:
			standby = find_standby(bench, site, run.name, notes / site)
			if standby:
				_require_exported(run, standby)
				standby.drop_standby()
				standby.drop_quarantine()
				shutil.rmtree(notes / site)
				yield f"standby and quarantine of {site}, run {run.name}"
		except (DeployError, OSError) as error:
			# It is tried again tomorrow.
			say(f"The databases that run {run.name} keeps for {site} could not be removed: {error}")


def _require_exported(run: RunDirectory, standby: StandbyDatabase) -> None:
	"""Raise `Refused` while what was replaced is in the quarantine alone.

	The step that exports it is done even when it could not, so that sites are opened; then it names no files.
	"""
	state = load_state(run)
	if standby.is_swap_begun() and not (state.is_done(EXPORT) and "files" in state.result(EXPORT)):
		raise Refused(
			"Removing",
			standby.quarantine,
			"what was lost by the rollback was not exported, and is nowhere else",
			f"look into it; when nobody needs it any more: press-deploy standby --drop {run.name}",
		)
