"""The command line clients of MariaDB, with the site's own user and without a password in their arguments.

Invariant: the password stands in a file that only this user can read, and only while it is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import frappe

from press_deploy.engine.errors import SiteProcessFailed


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


def import_dump(dump: IO[bytes]) -> None:
	"""Feed SQL to the site's own database. Raises `SiteProcessFailed` when the client refuses any of it."""
	conf = frappe.conf
	client = shutil.which("mariadb") or shutil.which("mysql")
	if not client:
		raise _failed("neither mariadb nor mysql was found", "install the client of the database")
	address = (
		[f"--socket={conf.db_socket}"]
		if conf.db_socket
		else [f"--host={conf.db_host}", f"--port={conf.db_port}"]
	)
	with credentials(), tempfile.TemporaryFile() as errors:
		process = subprocess.Popen(
			[client, f"--user={conf.db_user or conf.db_name}", *address, "--batch", conf.db_name],
			stdin=subprocess.PIPE,
			stderr=errors,
		)
		try:
			shutil.copyfileobj(dump, process.stdin, 1 << 20)
			process.stdin.close()
		except BrokenPipeError:
			pass  # The client ended early; it says why.
		if process.wait():
			errors.seek(0)
			raise _failed(
				errors.read().decode(errors="replace").strip()[-1000:], "see the step's log; run it again"
			)


def _quote(password: str) -> str:
	escaped = password.replace("\\", "\\\\").replace('"', '\\"')
	return f'"{escaped}"'


def _failed(why: str, remedy: str) -> SiteProcessFailed:
	return SiteProcessFailed("Importing a dump into", f"the database of {frappe.local.site}", why, remedy)
