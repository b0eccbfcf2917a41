"""What a migration removed from a site, and what that means for the verdict.

Invariant: a DocType that is gone is never passed over where the code still defines it, or where it had rows and
its app is still installed. What is not known counts as not known, never as nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases import inventory
from press_deploy.engine.verdict.conditions import Condition

SHOWN_NAMES = 10
# A DocType that the code defines and migrate removed is as broken as what fails its critical tests: the plan says
# of these what follows. A removal on purpose is a question to a person, and has no trigger.
DEFECT = "critical_tests"


@dataclass(frozen=True)
class Lost:
	"""A DocType that is gone. `file` is its JSON in the code, if it is there; `rows` None where it has no table."""

	name: str
	rows: int | None
	about: bool
	file: str | None
	app_is_installed: bool

	@property
	def is_against_go(self) -> bool:
		return self.file is not None or bool(self.app_is_installed and self.rows)

	@property
	def size(self) -> str:
		if self.rows is None:
			return "no table of its own"
		return f"{'about ' if self.about else ''}{self.rows} row{'' if self.rows == 1 else 's'}"


def judge_removals(
	bench: Bench, site: str, before: dict[str, Any]
) -> tuple[list[Condition], dict[str, list[str]]]:
	"""Compare a site with what was there before: conditions, and {kind: names of what is gone}."""
	now = inventory.take_inventory(bench, site)
	gone = find_gone(before, now)
	lost = [each for name in gone.get("DocType", []) if (each := _examine(bench, site, name, before, now))]
	return [
		*[_judge_doctype(site, each) for each in lost if each.is_against_go],
		_judge_rest(site, gone),
	], gone


def find_gone(before: dict[str, Any], now: dict[str, Any]) -> dict[str, list[str]]:
	"""{kind: names} of what was there before and is not now."""
	kinds = {
		"DocType": (before["doctypes"], now["doctypes"]),
		**{kind: (names, now["names"].get(kind, ())) for kind, names in before["names"].items()},
		"App": (before["apps"] or (), now["apps"] or before["apps"] or ()),
	}
	gone = {kind: sorted(set(was) - set(there)) for kind, (was, there) in kinds.items()}
	return {kind: names for kind, names in gone.items() if names}


def find_definition(bench: Bench, doctype: str) -> tuple[str, str] | None:
	"""(app, JSON file below the bench) of a DocType that the code on the bench defines."""
	name = doctype.lower().replace(" ", "_").replace("-", "_")
	for file in sorted((bench.path / "apps").glob(f"*/*/*/doctype/{_literal(name)}/{_literal(name)}.json")):
		try:
			if json.loads(file.read_bytes()).get("name") == doctype:
				path = file.relative_to(bench.path)
				return path.parts[1], str(path)
		except (OSError, ValueError, AttributeError):
			continue
	return None


def _examine(bench: Bench, site: str, name: str, before: dict[str, Any], now: dict[str, Any]) -> Lost | None:
	"""What is known of a DocType that is gone; None when it only has another name now."""
	was = before["doctypes"][name]
	if _new_name(bench, site, name, before, now):
		return None
	defined = find_definition(bench, name)
	app = defined[0] if defined else before["modules"].get(was["module"])
	installed = now["apps"] is None or app is None or app in now["apps"]
	# Frappe leaves the table where it is; then there is no need to estimate.
	exact = inventory.count_rows(bench, site, name) if was["about"] else None
	rows, about = (was["rows"], was["about"]) if exact is None else (exact, False)
	return Lost(name, rows, about, defined[1] if defined and installed else None, installed)


def _new_name(bench: Bench, site: str, name: str, before: dict[str, Any], now: dict[str, Any]) -> str | None:
	"""The DocType that holds its documents now, because a patch renamed it."""
	was = before["doctypes"][name]
	if not was["rows"] or inventory.count_rows(bench, site, name) is not None:
		return None
	for new in sorted(set(now["doctypes"]) - set(before["doctypes"])):
		has_all = (now["doctypes"][new]["rows"] or 0) >= was["rows"] or was["about"]
		if has_all and inventory.holds(bench, site, new, [was["first"], was["last"]]):
			return new
	return None


def _judge_doctype(site: str, lost: Lost) -> Condition:
	wanted = "there, as before"
	if lost.file:
		evidence = (
			f"{lost.file} still defines it: its controller could not be imported, or a patch deleted it. "
			"Mend the release, then deploy it again"
		)
		return Condition(
			f"DocType {lost.name} of {site}", False, f"gone, with {lost.size}", wanted, evidence, DEFECT
		)
	evidence = (
		"the release defines it no more, and nobody could open these rows. Rename it by a patch if that is what "
		"was meant, or delete its rows before you deploy again; GO by a person consents to losing sight of them"
	)
	return Condition(f"DocType {lost.name} of {site}", False, f"gone, with {lost.size}", wanted, evidence)


def _judge_rest(site: str, gone: dict[str, list[str]]) -> Condition:
	"""What else is gone, for the record: a release may well remove it."""
	counts = ", ".join(f"{len(names)} {kind}" for kind, names in gone.items()) or "nothing"
	named = "; ".join(f"{kind}: {show_names(names)}" for kind, names in gone.items())
	return Condition(f"Removed by migrate from {site}", True, counts, "listed", named)


def show_names(names: list[str]) -> str:
	more = len(names) - SHOWN_NAMES
	return ", ".join(names[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _literal(name: str) -> str:
	"""A name in a pattern, where its own characters mean nothing."""
	return "".join(f"[{character}]" if character in "*?[" else character for character in name)
