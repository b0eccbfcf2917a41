"""The command line clients of MariaDB, with the site's own user and without a password in their arguments.

Invariant: the password stands in a file that only this user can read, and only while it is needed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import frappe


@contextmanager
def credentials() -> Iterator[None]:
	"""Let every MariaDB client that is started inside this block log in as the site's own user.

	Clients read `my.cnf` from these directories; HOME too, so that nobody's `~/.my.cnf` wins over it.
	"""
	with tempfile.TemporaryDirectory(prefix="press-deploy-") as directory:
		for name in ("my.cnf", ".my.cnf"):
			file = Path(directory, name)
			file.touch(mode=0o600)
			file.write_text(f"[client]\npassword={_quote(frappe.conf.db_password)}\n")
		variables = dict.fromkeys(("MYSQL_HOME", "MARIADB_HOME", "HOME"), directory)
		previous = {name: os.environ.get(name) for name in variables}
		os.environ.update(variables)
		try:
			yield
		finally:
			for name, value in previous.items():
				os.environ.pop(name) if value is None else os.environ.update({name: value})


def _quote(password: str) -> str:
	escaped = password.replace("\\", "\\\\").replace('"', '\\"')
	return f'"{escaped}"'
