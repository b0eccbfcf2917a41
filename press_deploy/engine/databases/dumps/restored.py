"""What was restored, compared with what was read in its dump."""

from __future__ import annotations

from pathlib import Path

from press_deploy.engine.databases.dumps.dump_file import DamagedFile
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.remedies import NEW_BACKUP, see_disk

# Tables that belong to no DocType, without which Frappe doesn't start or search.
FRAPPE_TABLES = ("tabSingles", "__Auth", "__global_search")
SHOWN_NAMES = 5


def compare_names(kind: str, wanted: set[str], found: set[str]) -> None:
	"""Raises `DamagedFile`."""
	if wanted != found:
		missing, more = wanted - found, found - wanted
		parts = [f"{list_names(missing)} missing"] * bool(missing)
		parts += [f"{list_names(more)} not in the dump"] * bool(more)
		raise DamagedFile(kind, f"restored, it has other {kind} than the dump: {'; '.join(parts)}")


def compare_rows(wanted: dict[str, int], found: dict[str, int]) -> None:
	"""Numbers by table. Raises `DamagedFile`."""
	other = sorted(table for table, rows in wanted.items() if found[table] != rows)
	if other:
		shown = [
			f"{table} has {found[table]} rows, the dump {wanted[table]}" for table in other[:SHOWN_NAMES]
		]
		raise DamagedFile("row counts", f"{len(other)} table(s) differ: {'; '.join(shown)}")


def check_frappe_tables(tables: set[str]) -> None:
	"""Raises `DamagedFile` where a site's are not all there."""
	missing = [table for table in FRAPPE_TABLES if table not in tables]
	if "tabDocType" in tables and missing:
		raise DamagedFile("Frappe's tables", f"it is a site's, but has no {list_names(missing)}")


def list_names(names: set[str] | list[str]) -> str:
	"""The first ones, and how many more there are."""
	ordered = sorted(names)
	rest = f" and {len(ordered) - SHOWN_NAMES} more" if len(ordered) > SHOWN_NAMES else ""
	return ", ".join(ordered[:SHOWN_NAMES]) + rest


def refuse_backup(file: Path, why: str) -> StepFailed:
	"""What to raise where a backup's file does not restore what it should."""
	return StepFailed("Proving", str(file), why, f"{NEW_BACKUP}; the disk: {see_disk(file)}")
