"""What tests leave behind on a site: users, roles, records. Looked for afterwards, whatever tests promise.

Invariant: on a production site a System User or System Manager that appeared is disabled at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import frappe
from frappe.sessions import clear_sessions

from press_deploy.site.tables import list_tables

STANDARD_USERS = ("Administrator", "Guest")


@dataclass(frozen=True)
class Snapshot:
	users: dict[str, tuple[bool, str]]  # name → (enabled, user type)
	roles: frozenset[tuple[str, str]]  # (user, role)
	rows: dict[str, int]  # DocType, or table without one → number of rows


def take_snapshot() -> Snapshot:
	"""The users, their roles and the number of rows of every table, now."""
	users = frappe.get_all("User", fields=["name", "enabled", "user_type"])
	roles = frappe.get_all("Has Role", filters={"parenttype": "User"}, fields=["parent", "role"])
	return Snapshot(
		{user.name: (bool(user.enabled), user.user_type) for user in users},
		frozenset((row.parent, row.role) for row in roles),
		{
			_doctype_of(table): frappe.db.sql(f"SELECT count(*) FROM `{table}`")[0][0]
			for table in list_tables()
		},
	)


def compare(before: Snapshot, after: Snapshot) -> dict:
	"""What appeared between two snapshots; `rows` are differences, only of what changed."""
	granted = sorted(after.roles - before.roles)
	known = before.rows.keys() | after.rows.keys()
	delta = {name: after.rows.get(name, 0) - before.rows.get(name, 0) for name in sorted(known)}
	return {
		"users_enabled": sorted(name for name in before.users if _was_enabled(name, before, after)),
		"users_created": sorted(after.users.keys() - before.users.keys()),
		"system_managers": sorted({user for user, role in granted if role == "System Manager"}),
		"roles_granted": [f"{user}: {role}" for user, role in granted],
		"rows": {name: difference for name, difference in delta.items() if difference},
	}


def disable_new_users(found: dict, after: Snapshot) -> list[str]:
	"""Disable the users that may enter Desk and could not before; return their names."""
	appeared = {*found["users_enabled"], *found["users_created"]}
	suspects = {name for name in appeared if after.users[name] == (True, "System User")}
	suspects |= {name for name in found["system_managers"] if after.users.get(name, (False, ""))[0]}
	for name in sorted(suspects - set(STANDARD_USERS)):
		# Straight into the table: a user the tests made may not pass the checks of `User.validate`.
		frappe.db.set_value("User", name, "enabled", 0)
		clear_sessions(user=name, force=True)
	frappe.db.commit()
	return sorted(suspects - set(STANDARD_USERS))


def _was_enabled(name: str, before: Snapshot, after: Snapshot) -> bool:
	return not before.users[name][0] and after.users.get(name, (False, ""))[0]


def _doctype_of(table: str) -> str:
	return table.removeprefix("tab")
