"""What an account may do on the whole of a MariaDB server, from what the server itself says of it.

Invariant: a right counts only where the server says that it is given on `*.*`, to the account or to a role that
is enabled when it logs in. Names of databases, tables, roles and users are never taken for rights.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

# Whatever follows is quoted or said of the account; `SHOW GRANTS` writes the rights themselves in capitals,
# and a list of columns, the name of a role or a database that is named instead of `*.*` does not match.
_EVERYWHERE = re.compile(r"GRANT ([A-Z_]+(?:[ ,]+[A-Z_]+)*) ON \*\.\* TO ")
_ALL = "ALL PRIVILEGES"
# Until MariaDB 11 (MDEV-29668) these were a part of SUPER.
_IN_SUPER, _SUPER_ENDS = frozenset({"CONNECTION ADMIN", "SET USER"}), 11


def find_missing_rights(cursor: Any, wanted: Sequence[str]) -> list[str]:
	"""Those of `wanted` that the account of this connection has not on all databases. Raises `pymysql.Error`.

	`SHOW GRANTS` names the rights of enabled roles beside the account's own
	(https://mariadb.com/kb/en/show-grants/).
	"""
	cursor.execute("SHOW GRANTS")
	given = read_rights([row[0] for row in cursor.fetchall()])
	cursor.execute("SELECT VERSION()")
	version = str(cursor.fetchone()[0]).removeprefix("5.5.5-")
	if "SUPER" in given and int(version.split(".")[0]) < _SUPER_ENDS:
		given |= _IN_SUPER
	return [] if _ALL in given else [right for right in wanted if right not in given]


def read_rights(grants: Sequence[str]) -> set[str]:
	"""The rights that lines of `SHOW GRANTS` give on `*.*`."""
	found = [match for match in map(_EVERYWHERE.match, grants) if match]
	return {right.strip() for match in found for right in match[1].split(",")}


def tell_missing_rights(cursor: Any, user: str, wanted: Sequence[str]) -> str | None:
	"""What `user`, whose connection this is, lacks of `wanted`, in words; None when nothing. Raises as above."""
	missing = find_missing_rights(cursor, wanted)
	return f"{user} lacks {', '.join(missing)} on *.*" if missing else None
