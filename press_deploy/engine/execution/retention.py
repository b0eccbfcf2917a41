"""What may go when its time is over: backups, standby databases, quarantines. Copies in safe places are not ours.

Standby databases and what a swap replaced go when the follow-up is over, and at once where the run ended before
it changed anything; backups, what an import replaced and the files that were put aside go when the days of the
plan's `retention_days` are over too.

Invariant: nothing of a run that is unfinished, or that ended Fatal and still keeps what it replaced; nothing
while a run is followed up, never the last backup of a site that is proven, and no quarantine that was not
exported. What can't be told is kept, and a removal that was killed is completed by the next one.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from press_deploy.engine.backup.catalogue import BACKUPS, EXPIRED, BackupEntry, find_backups
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.backup_files import MADE
from press_deploy.engine.databases.credentials import WHERE_NAMED
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.finding import find_standby
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import DeployError, Refused
from press_deploy.engine.homes.home import HOMES
from press_deploy.engine.homes.making import remove_unused
from press_deploy.engine.journal.lock import keep_idle
from press_deploy.engine.journal.run_directory import RunDirectory, list_runs
from press_deploy.engine.journal.state import UNCHANGED, State, load_state
from press_deploy.engine.plan.backup import Backup

# How long a run is followed up where Deployment Settings say nothing. A rollback may still want what it keeps.
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
	follow_up_days: int = FOLLOW_UP_DAYS,
) -> list[str]:
	"""Remove what is over its time, and return what was removed, in words.

	Only what belongs to `site`: runs that it controls, and its own backups. `followed_up` are those of its runs
	whose follow-up is open; where no record says so, one lasts `follow_up_days`. While a run is under way nothing
	is touched.
	"""
	now, removed = now or datetime.now(timezone.utc), []
	runs = list(_find_runs(bench, site, say))
	for run in runs:
		# One at a time, so that nobody who starts a run has to wait for all of them.
		with keep_idle(bench.deployments) as is_idle:
			if is_idle:
				removed += _tidy_run(bench, run, now, followed_up, follow_up_days, say)
	mine = {run.name for run in runs}
	with keep_idle(bench.deployments) as is_idle:
		if is_idle:
			removed += _tidy_beside_runs(bench.deployments / BACKUPS / site, now, say)
		for entry in find_expired(bench, now, followed_up, follow_up_days) if is_idle else ():
			if entry.run in mine or (entry.run is None and entry.site == site):
				removed += _remove(entry.directory, f"backup of {entry.site}, {entry.made}", say)
	removed += _tidy_homes(bench, now, say)
	for line in removed:
		say(line)
	return removed


def _tidy_homes(bench: Bench, now: datetime, say: Say) -> list[str]:
	removed = []
	try:
		removed += remove_unused(bench, now)
	except OSError as error:
		# It is tried again tomorrow.
		say(f"{bench.deployments / HOMES} could not be looked through: {error}")
	return removed


def _find_runs(bench: Bench, site: str, say: Say) -> Iterator[RunDirectory]:
	"""Those that `site` controls; of one that can't be read, nothing is removed."""
	for run in list_runs(bench.path):
		try:
			if run.read_plan().control_site in (site, None):
				load_state(run)
				yield run
		except (DeployError, OSError) as error:
			say(f"Of run {run.name} everything is kept, as it can't be read: {error}")


def find_expired(
	bench: Bench, now: datetime, followed_up: Collection[str] = (), follow_up_days: int = FOLLOW_UP_DAYS
) -> list[BackupEntry]:
	"""The backups that nobody needs any more: too old, not followed up, and not the last one worth anything."""
	expired = []
	for site in {entry.site for entry in find_backups(bench)}:
		entries = find_backups(bench, site)
		kept = _choose_kept(entries)
		expired += [
			entry
			for entry in entries
			if entry not in kept
			and entry.run not in followed_up
			and _is_over_time(bench, entry, now, follow_up_days)
		]
	return expired


def _tidy_beside_runs(backups: Path, now: datetime, say: Say) -> list[str]:
	"""What attempts at a backup left: some may still be under way, but none for as long as one is kept."""
	_complete_removals(backups, say)
	latest = (now - timedelta(days=Backup().retention_days)).timestamp()
	uncompleted = [
		path
		for path in backups.glob("*")
		if path.is_dir() and not (path / MADE).exists() and path.stat().st_mtime < latest
	]
	return [line for path in uncompleted for line in _remove(path, f"{path}, never completed", say)]


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


def _is_over_time(bench: Bench, entry: BackupEntry, now: datetime, follow_up_days: int) -> bool:
	"""Whether the days of a backup are over, and so is the run that made it. Not known is no."""
	try:
		days = Backup().retention_days
		if entry.run is not None:
			run = RunDirectory.open(bench.path, entry.run)
			if not _is_over(run, now, follow_up_days):
				return False
			days = run.read_plan().backup.retention_days
		return now - datetime.fromisoformat(entry.made) > timedelta(days=days)
	except (DeployError, OSError, ValueError, TypeError):
		return False


def _is_over(run: RunDirectory, now: datetime, days: int) -> bool:
	"""Whether a run ended, and longer ago than so many days.

	What users wrote may be in the quarantine of a Fatal one alone: it is over when a person removed that.
	"""
	state = load_state(run)
	if state.started is None or state.is_unfinished or state.ended is None:
		return False
	if state.state is State.FATAL and (run.noted_sites or _imported_over(run)):
		return False
	return now - datetime.fromisoformat(state.ended) > timedelta(days=days)


def _tidy_run(
	bench: Bench,
	run: RunDirectory,
	now: datetime,
	followed_up: Collection[str],
	follow_up_days: int,
	say: Say,
) -> list[str]:
	"""What a run keeps beside its backups: first the databases, then the files that they may still need."""
	removed = []
	try:
		for directory in (run.backup, run.backup / "final", run.private):
			_complete_removals(directory, say)
		is_over = run.name not in followed_up and _is_over(run, now, follow_up_days)
		# Where nothing was changed there is nothing to roll back, so nobody needs the databases.
		if is_over or load_state(run).state in UNCHANGED:
			removed += _drop_databases(bench, run, say)
		if not is_over:
			return removed
		# As long as there are databases they may have to be made again, or are not exported.
		if not run.noted_sites and _is_over(run, now, run.read_plan().backup.retention_days):
			for directory, words in _find_files(bench, run):
				removed += _remove(directory, f"{words}, run {run.name}", say)
	except (DeployError, OSError) as error:
		say(f"What run {run.name} keeps could not be looked through: {error}")
	return removed


def _find_files(bench: Bench, run: RunDirectory) -> Iterator[tuple[Path, str]]:
	"""What lies in the directory of a run for a rollback, and what one has put aside there."""
	if _quarantine_of(run).is_dir():
		yield _quarantine_of(run), "quarantine"
	for environment in (*run.private.glob("environment*"), run.replaced_environment):
		if environment.is_dir():
			yield environment, environment.name.replace("-", " ")
	for site in run.read_plan().site_names:
		final, begun = run.final_backup_of(site), run.backup / site
		if final.is_dir() and not _is_last_proven(bench, site, final):
			yield final, f"final backup of {site}"
		if begun.is_dir() and not (begun / MADE).exists():
			yield begun, f"backup of {site} that was never completed"


def _is_last_proven(bench: Bench, site: str, final: Path) -> bool:
	"""Whether this final backup, which is in no catalogue, is the newest of its site that is proven."""
	if not Proof(final).has(PROVEN):
		return False
	try:
		made = json.loads((final / MADE).read_text())["made"]
		newer = [entry for entry in find_backups(bench, site) if entry.made > made]
	except (ValueError, KeyError, TypeError):
		return True
	return not any(Proof(entry.directory).has(PROVEN) for entry in newer)


def _quarantine_of(run: RunDirectory) -> Path:
	return run.backup / "quarantine"


def _imported_over(run: RunDirectory) -> list[Path]:
	"""Where rollbacks have put the databases that they imported over: `quarantine/<sequence number>/<site>`."""
	return list(_quarantine_of(run).glob("[0-9]*/*"))


def _drop_databases(bench: Bench, run: RunDirectory, say: Say) -> Iterator[str]:
	for site in run.noted_sites:
		notes = run.private / "standby" / site
		try:
			standby = find_standby(bench, site, run.name, notes)
			if standby is None:
				raise Refused(
					"Removing",
					f"the standby and quarantine databases of {site}, run {run.name}",
					"the database's administrator is not known",
					f"name it: {WHERE_NAMED}",
				)
			_require_exported(run, standby)
			standby.drop_standby()
			standby.drop_quarantine()
			shutil.rmtree(notes)
			yield f"standby and quarantine of {site}, run {run.name}"
		except (DeployError, OSError) as error:
			# It is tried again tomorrow.
			say(f"The databases that run {run.name} keeps for {site} could not be removed: {error}")


def _require_exported(run: RunDirectory, standby: StandbyDatabase) -> None:
	"""Raise `Refused` while what was replaced is in the quarantine alone.

	The step that exports it is done even when it could not, so that sites are opened; then it names no files.
	What it has left out, as secrets, is named by site.
	"""
	state = load_state(run)
	result = state.result(EXPORT) if state.is_done(EXPORT) else {}
	left_out = result.get("left_out", {}).get(standby.site, [])
	if standby.is_swap_begun() and ("files" not in result or left_out):
		raise Refused(
			"Removing",
			standby.quarantine,
			f"{', '.join(left_out) or 'what was lost by the rollback'} was not exported, and is nowhere else",
			f"look into it; when nobody needs it any more: press-deploy standby --drop {run.name}",
		)


def _remove(directory: Path, words: str, say: Say) -> list[str]:
	"""Remove a directory, and return `words` if that could be done.

	It is renamed at once: from then on it counts for nothing, and a removal that is killed is found again.
	"""
	try:
		expired = directory.rename(directory.with_name(f"{EXPIRED}{directory.name}"))
		durable.sync_directory(directory.parent)
		shutil.rmtree(expired)
	except OSError as error:
		# It is tried again tomorrow.
		say(
			f"{directory} could not be removed: {error}; if that is root's: sudo rm -rf {shlex.quote(str(directory))}"
		)
		return []
	return [words]


def _complete_removals(directory: Path, say: Say) -> None:
	for expired in directory.glob(f"{EXPIRED}*"):
		try:
			shutil.rmtree(expired)
		except OSError as error:
			say(f"{expired} could not be removed: {error}")
