"""The proof of this site's newest backup: done, told, and kept where a restore does not forget it.

Invariant: a proof that failed, or was not done, is never shown as one that passed.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import frappe
import psutil
from frappe import _
from frappe.utils import format_date, format_datetime, pretty_date

from press_deploy.engine.backup import catalogue
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import DeployError, StepFailed
from press_deploy.site.background import LIMIT_SECONDS
from press_deploy.site.backup_records import project_backups, show_rung
from press_deploy.site.projection import to_site_time

FILE_NAME = "press_deploy_last_proof.json"


@dataclass(frozen=True)
class LastProof:
	"""How the newest proof ended, at `time` (ISO 8601, UTC); `why` is why it did not pass.

	One that has not `ended` began or was queued then; `owner` is the host, number and beginning of its process.
	"""

	time: str
	passed: bool
	backup: str
	why: str
	ended: bool = True
	owner: tuple[str, int, float] | None = None


def prove_newest(bench: Bench, say: Callable[[str], None]) -> LastProof:
	"""Prove the newest backup of this site, keep how it ended, and bring the records to it.

	Raises what the proof raises, after it was kept; `StepFailed` when it ended without showing rung 4.
	"""
	process = psutil.Process()
	note_begun(bench, (socket.gethostname(), process.pid, process.create_time()))
	try:
		entry = catalogue.prove_latest(bench, frappe.local.site, say=say)
	except BaseException as error:
		why = error.why if isinstance(error, DeployError) else f"{type(error).__name__}: {error}"
		_keep(bench, LastProof(_now(), False, "", why))
		project_backups(bench)
		raise
	why = find_why_unproven(entry.directory)
	proof = LastProof(_now(), not why, str(entry.directory), why)
	_keep(bench, proof)
	project_backups(bench)
	if why:
		raise StepFailed("Proving", str(entry.directory), why, _("make a new backup, and look at the disk"))
	return proof


def note_begun(bench: Bench, owner: tuple[str, int, float] | None = None) -> None:
	"""Keep that a proof is queued, or done by a process: until it ends, no earlier one is shown."""
	_keep(bench, LastProof(_now(), False, "", _("it has not ended"), ended=False, owner=owner))


def close_lost_proof(bench: Bench) -> LastProof | None:
	"""Keep a proof that was begun and can't end any more as one that failed, and return it; None without one."""
	proof = read_last_proof(bench)
	if proof is None or not _is_lost(proof):
		return None
	began = format_datetime(to_site_time(proof.time))
	if proof.owner:
		why = _("it began at {0} and never ended: its process was killed. See whether memory ran out").format(
			began
		)
	else:
		why = _("it was queued at {0} and never done. See whether a worker takes the long queue").format(
			began
		)
	lost = LastProof(_now(), False, "", why)
	_keep(bench, lost)
	return lost


def _is_lost(proof: LastProof) -> bool:
	if proof.ended:
		return False
	if proof.owner and proof.owner[0] == socket.gethostname():
		try:
			return psutil.Process(proof.owner[1]).create_time() != proof.owner[2]
		except psutil.Error:
			return True
	began = datetime.fromisoformat(proof.time)
	return (datetime.now(timezone.utc) - began).total_seconds() > LIMIT_SECONDS


def find_why_unproven(directory: Path) -> str:
	"""Why a backup is not shown to be restorable; empty when it is. Whether it was copied off is not asked."""
	return Proof(directory, not_asked={Rung.SAFE}).why_not(Rung.RESTORABLE)


def read_last_proof(bench: Bench) -> LastProof | None:
	"""How the newest proof of this site ended; None when there was none, or nobody can tell."""
	try:
		return LastProof(**json.loads(_path(bench).read_text()))
	except (OSError, ValueError, TypeError):
		return None


def describe_last_proof(bench: Bench) -> str:
	"""The newest proof in a sentence, for people."""
	proof = read_last_proof(bench)
	if proof is None:
		return _("None yet")
	when = format_datetime(to_site_time(proof.time))
	if not proof.ended:
		return (_("Never ended, began {0}") if _is_lost(proof) else _("Under way since {0}")).format(when)
	if not proof.passed:
		return _("{0}: FAILED: {1}").format(when, proof.why)
	entries = catalogue.find_backups(bench, frappe.local.site)
	age = next(
		(_say_age(entry.made) for entry in entries if str(entry.directory) == proof.backup), _("unknown age")
	)
	said = _("{0}: passed, {1} of {2} was restored and compared").format(when, proof.backup, age)
	if newer := _find_newer(bench, proof):
		said += "; " + _("the newest is {0}, and was not proven then").format(newer.directory)
	return said


def describe_last_proof_briefly(bench: Bench) -> str:
	"""The newest proof in a few words, for the workspace."""
	proof = read_last_proof(bench)
	if proof is None:
		return _("None yet")
	when = format_date(to_site_time(proof.time))
	if not proof.ended:
		return _("Never ended, {0}").format(when) if _is_lost(proof) else _("Under way")
	if not proof.passed:
		return _("FAILED, {0}").format(when)
	passed = _("Passed, {0}").format(when)
	return _("{0}, not the newest backup").format(passed) if _find_newer(bench, proof) else passed


def describe_newest_backup(bench: Bench) -> str:
	"""The rung and the age of this site's newest backup, for people."""
	newest = next(iter(catalogue.find_backups(bench, frappe.local.site)), None)
	return f"{show_rung(newest.reached)}, {_say_age(newest.made)}" if newest else _("None yet")


def _find_newer(bench: Bench, proof: LastProof) -> catalogue.BackupEntry | None:
	"""The newest backup, where that is not the one which was proven."""
	newest = next(iter(catalogue.find_backups(bench, frappe.local.site)), None)
	return newest if newest and str(newest.directory) != proof.backup else None


def _say_age(made: str) -> str:
	try:
		return pretty_date(to_site_time(made))
	except (ValueError, TypeError):
		return _("unknown age")


def _keep(bench: Bench, proof: LastProof) -> None:
	durable.write_json(_path(bench), asdict(proof))


def _path(bench: Bench) -> Path:
	return bench.site(frappe.local.site) / "private" / FILE_NAME


def _now() -> str:
	return datetime.now(timezone.utc).isoformat(timespec="seconds")
