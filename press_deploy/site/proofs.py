"""The proof of this site's newest backup: done, told, and kept where a restore does not forget it.

Invariant: a proof that failed, or was not done, is never shown as one that passed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import frappe
from frappe import _
from frappe.utils import format_date, format_datetime

from press_deploy.engine import durable
from press_deploy.engine.backup import catalogue
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.bench import Bench
from press_deploy.engine.errors import DeployError, StepFailed
from press_deploy.site.backup_records import project_backups, show_rung
from press_deploy.site.projection import to_site_time

FILE_NAME = "press_deploy_last_proof.json"


@dataclass(frozen=True)
class LastProof:
	"""How the newest proof ended, at `time` (ISO 8601, UTC); `why` is why it did not pass."""

	time: str
	passed: bool
	backup: str
	why: str


def prove_newest(bench: Bench, say: Callable[[str], None]) -> LastProof:
	"""Prove the newest backup of this site, keep how it ended, and bring the records to it.

	Raises what the proof raises, after it was kept; `StepFailed` when it ended without showing rung 4.
	"""
	try:
		entry = catalogue.prove_latest(bench, frappe.local.site, say=say)
	except Exception as error:
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
	if proof.passed:
		return _("{0}: passed, {1} was restored and compared").format(when, proof.backup)
	return _("{0}: FAILED: {1}").format(when, proof.why)


def describe_last_proof_briefly(bench: Bench) -> str:
	"""The newest proof in a few words, for the workspace."""
	proof = read_last_proof(bench)
	if proof is None:
		return _("None yet")
	when = format_date(to_site_time(proof.time))
	return (_("Passed, {0}") if proof.passed else _("FAILED, {0}")).format(when)


def describe_newest_backup(bench: Bench) -> str:
	"""The rung of this site's newest backup, for people."""
	newest = next(iter(catalogue.find_backups(bench, frappe.local.site)), None)
	return show_rung(newest.reached) if newest else _("None yet")


def _keep(bench: Bench, proof: LastProof) -> None:
	durable.write_json(_path(bench), asdict(proof))


def _path(bench: Bench) -> Path:
	return bench.site(frappe.local.site) / "private" / FILE_NAME


def _now() -> str:
	return datetime.now(timezone.utc).isoformat(timespec="seconds")
