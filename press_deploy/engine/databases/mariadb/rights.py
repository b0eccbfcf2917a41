"""What an account may do on the whole of a MariaDB server or on one database, from what the server itself says of it.

Invariant: a right counts only where the server says that it is given on `*.*` or, where a database is asked about, on
all of that; to the account or to a role that is enabled when it logs in. Names of databases, tables, roles and users are
never taken for rights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

# Whatever follows is quoted or said of the account; `SHOW GRANTS` writes the rights themselves in capitals,
# and a list of columns, the name of a role or a database that is named instead of `*.*` does not match.
_EVERYWHERE = re.compile(r"GRANT ([A-Z_]+(?:[ ,]+[A-Z_]+)*) ON \*\.\* TO ")
_ON_DATABASE = re.compile(
	r"GRANT ([A-Z_]+(?:[ ,]+[A-Z_]+)*) ON ([`\"])((?:(?!\2).|\2\2)+)\2\.\* TO (.+?)(?: WITH GRANT OPTION)?$",
	re.DOTALL,
)
# In the name of a database that a grant is on, unless a backslash stands before them.
_ANY_CHARACTERS = {"_": ".", "%": ".*"}
_ALL = "ALL PRIVILEGES"
# Until MariaDB 11 (MDEV-29668) these were a part of SUPER.
_IN_SUPER, _SUPER_ENDS = frozenset({"CONNECTION ADMIN", "SET USER"}), 11


def find_missing_rights(cursor: Any, wanted: Sequence[str], database: str | None = None) -> list[str]:
	"""Those of `wanted` that the account of this connection has not on all databases, or on the one that is named.

	Raises `pymysql.Error`. `SHOW GRANTS` names the rights of enabled roles beside the account's own
	(https://mariadb.com/kb/en/show-grants/).
	"""
	cursor.execute("SHOW GRANTS")
	given = read_rights([row[0] for row in cursor.fetchall()], database)
	cursor.execute("SELECT VERSION()")
	if "SUPER" in given and read_version(cursor.fetchone()[0])[0] < _SUPER_ENDS:
		given |= _IN_SUPER
	return [] if _ALL in given else [right for right in wanted if right not in given]


def read_rights(grants: Sequence[str], database: str | None = None) -> set[str]:
	"""The rights that lines of `SHOW GRANTS` give on `*.*`, and on all of `database`."""
	found = [match[1] for match in map(_EVERYWHERE.match, grants) if match]
	if database:
		found += [rights for _, rights in _read_on_database(grants, database).values()]
	return {right.strip() for rights in found for right in rights.split(",")}


def find_pattern(grants: Sequence[str], database: str, account: str) -> str | None:
	"""The name by which the rights of `account` on `database` are given, which may be a pattern; None without any.

	A grant on another name for the same database would take the place of this one, not be added to it.
	"""
	found = _read_on_database(grants, database).get(account)
	return found[0] if found else None


def _read_on_database(grants: Sequence[str], database: str) -> dict[str, tuple[str, str]]:
	"""{who: (name or pattern, rights)} of what counts for a database: for each the most specific grant alone."""
	counting: dict[str, tuple[str, str]] = {}
	for match in map(_ON_DATABASE.match, grants):
		if not match:
			continue
		rights, mark, name, who = match.groups()
		pattern = name.replace(mark * 2, mark)
		is_more = who not in counting or _measure(pattern) > _measure(counting[who][0])
		if _is_meant(pattern, database) and is_more:
			counting[who] = (pattern, rights)
	return counting


def read_version(text: str) -> tuple[int, ...]:
	"""The first two numbers of what a server calls its version; (0, 0) where there are none."""
	found = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+)", text)
	return tuple(int(part) for part in found.groups()) if found else (0, 0)


def _is_meant(pattern: str, database: str) -> bool:
	expression = "".join(_ANY_CHARACTERS.get(part) or re.escape(part[-1]) for part in _split(pattern))
	return re.fullmatch(expression, database, re.DOTALL) is not None


def _measure(pattern: str) -> int:
	"""How specific it is: the server looks at where the first wildcard stands."""
	parts = _split(pattern)
	return next((place for place, part in enumerate(parts) if part in _ANY_CHARACTERS), len(pattern) + 1)


def _split(pattern: str) -> list[str]:
	return re.findall(r"\\.|.", pattern, re.DOTALL)


def tell_missing_rights(cursor: Any, user: str, wanted: Sequence[str]) -> str | None:
	"""What `user`, whose connection this is, lacks of `wanted`, in words; None when nothing. Raises as above."""
	missing = find_missing_rights(cursor, wanted)
	return f"{user} lacks {', '.join(missing)} on *.*" if missing else None
