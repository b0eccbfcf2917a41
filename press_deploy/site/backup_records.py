"""The backups of this site in Desk: what the catalogue finds on disk, projected into Deployment Backup.

Invariant: a record shows the rung that its files reached, and goes when its files are gone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import datetime, timezone
from typing import Any

import frappe
from frappe import _

from press_deploy.engine.backup.catalogue import BackupEntry, find_backups
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.canonical import canonical_json
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.site.projection import describe_failure, open_projection, save_projection, to_site_time

EVIDENCE_LIMIT = 2000
# A record's name has 140 characters.
SITE_LIMIT = 115


def project_backups(bench: Bench) -> list[str]:
	"""Bring the records to what is on disk; return the names of those written or removed.

	One that can't be written or removed is logged, and keeps none of the others from it.
	"""
	wanted = name_entries([entry for entry in find_backups(bench) if _is_ours(bench, entry)])
	known = dict(frappe.get_all("Deployment Backup", fields=["name", "fingerprint"], as_list=True))
	changed = []
	for name in [*wanted, *sorted(known.keys() - wanted.keys())]:
		try:
			if _bring_up_to_date(name, wanted.get(name), known.get(name)):
				changed.append(name)
			frappe.db.commit()
		except Exception as error:
			frappe.db.rollback()
			why = describe_failure(error)
			frappe.logger("press_deploy").warning(f"backup {name} could not be projected: {why}")
	return changed


def _bring_up_to_date(name: str, entry: BackupEntry | None, fingerprint: str | None) -> bool:
	"""Write a record that is behind its backup, or remove one whose backup is gone; whether it was needed."""
	if entry is None:
		# Without a trace in Deleted Document and Comment, which would count as users' work.
		frappe.delete_doc(
			"Deployment Backup", name, force=True, ignore_permissions=True, delete_permanently=True
		)
		return True
	values = _describe(entry)
	if values["fingerprint"] == fingerprint:
		return False
	record = open_projection("Deployment Backup", name)
	record.update(values)
	save_projection(record)
	return True


def name_entries(entries: list[BackupEntry]) -> dict[str, BackupEntry]:
	"""Each backup under a name of its own: the site and when it was made, in UTC."""
	named, seen = {}, Counter()
	for entry in sorted(entries, key=lambda entry: (entry.made, str(entry.directory))):
		made = datetime.fromisoformat(entry.made).astimezone(timezone.utc)
		name = f"{entry.site[:SITE_LIMIT]}-{made.strftime('%Y%m%d-%H%M%S')}"
		seen[name] += 1
		named[name if seen[name] == 1 else f"{name}-{seen[name]}"] = entry
	return named


def show_rung(rung: Rung) -> str:
	"""A rung as records show it: “4 restorable”."""
	return f"{rung:d} {rung.words}"


def _is_ours(bench: Bench, entry: BackupEntry) -> bool:
	"""This site's own, and what a run that this site controls has made. A time that is none can't be named."""
	try:
		datetime.fromisoformat(entry.made)
		return entry.site == frappe.local.site or (
			entry.run is not None
			and RunDirectory.open(bench.path, entry.run).read_plan().control_site == frappe.local.site
		)
	except (DeployError, ValueError, TypeError):
		return False


def _describe(entry: BackupEntry) -> dict[str, Any]:
	proof = Proof.load(entry.directory)
	run = entry.run if entry.run and frappe.db.exists("Deployment Run", entry.run) else None
	places = proof.facts(Rung.SAFE).get("places", []) if proof.has(Rung.SAFE) else []
	values = {
		"site": entry.site,
		"made": str(to_site_time(entry.made)),
		"rung": show_rung(entry.reached),
		"method": entry.method,
		"megabytes": round(entry.bytes / 1_000_000, 1),
		"run": run,
		"directory": str(entry.directory),
		"safe_places": "\n".join(str(place.get("place", "")) for place in places),
		"proof": [_describe_rung(proof, rung) for rung in list(Rung)[1:]],
	}
	return {**values, "fingerprint": hashlib.sha256(canonical_json(values).encode()).hexdigest()}


def _describe_rung(proof: Proof, rung: Rung) -> dict[str, Any]:
	entry = proof.rungs.get(str(int(rung)), {})
	row = {"rung": show_rung(rung), "time": str(to_site_time(entry["time"])) if entry.get("time") else None}
	if proof.has(rung):
		facts = "; ".join(_flatten(proof.facts(rung)))
		return {**row, "outcome": "Passed", "evidence": (facts or rung.meaning)[:EVIDENCE_LIMIT]}
	if entry.get("passed") is False:
		why = f"{entry.get('check')}: {entry.get('why')}"
		return {**row, "outcome": "Failed", "evidence": why[:EVIDENCE_LIMIT]}
	evidence = _("Passed with other files than those that are there now") if entry else ""
	return {**row, "outcome": "Not Tried", "evidence": evidence}


def _flatten(value: Any, name: str = "") -> list[str]:
	"""Facts as short texts: {"a": {"b": 1}} becomes ["a b: 1"]."""
	if isinstance(value, dict):
		return [text for key, inner in value.items() for text in _flatten(inner, f"{name} {key}".strip())]
	if isinstance(value, list):
		if not any(isinstance(inner, dict | list) for inner in value):
			return [f"{name}: {', '.join(map(str, value))}"] if value else []
		return [text for inner in value for text in _flatten(inner, name)]
	return [f"{name}: {value}"] if value not in (None, "") else []
