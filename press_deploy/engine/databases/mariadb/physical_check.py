"""Whether a database can be backed up physically from here, and why not.

Invariant: what can't be found out is a reason against it. It changes nothing.
"""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pymysql

from press_deploy.engine.databases.mariadb import physical_program
from press_deploy.engine.databases.mariadb.rights import tell_missing_rights
from press_deploy.engine.databases.mariadb.scratch_server import find_server_program
from press_deploy.engine.databases.mariadb.server import Server

# What mariadb-backup needs by its documentation, then what loading needs.
# Without the last three, views end the copy of definitions, and triggers and events are left out in silence.
RIGHTS = (
	*("RELOAD", "PROCESS", "LOCK TABLES", "BINLOG MONITOR", "CREATE", "DROP", "ALTER", "INSERT", "SELECT"),
	*("SHOW VIEW", "TRIGGER", "EVENT"),
)
# Tables that the copy can be asked for; what others hold is not in their files, or not in this directory.
ENGINES = ("InnoDB", "Aria", "MyISAM")
_SETTINGS = (
	"version", "datadir", "hostname", "innodb_file_per_table", "innodb_encrypt_tables", "innodb_encrypt_log",
	"innodb_data_home_dir", "innodb_undo_directory",
)  # fmt: skip


def why_not(server: Server, database: str) -> str | None:
	"""Why the physical method can't be used for `database` on this machine; None when it can."""
	for program in (physical_program.PROGRAM, "mariadb-dump", "mariadb"):
		if shutil.which(program) is None:
			return f"{program} is not installed"
	if find_server_program() is None:
		return "mariadbd is not installed here, so the copy could not be read"
	try:
		with server.session() as cursor:
			return _ask(cursor, server, database)
	except (pymysql.Error, OSError) as error:
		return f"the server can't be asked: {error.args[-1] if error.args else error}"


def read_settings(cursor: Any) -> dict[str, str]:
	"""What the server says of itself, as text. Raises `pymysql.Error`."""
	cursor.execute(f"SELECT {', '.join(f'@@{name}' for name in _SETTINGS)}")
	return {name: str(value) for name, value in zip(_SETTINGS, cursor.fetchone(), strict=True)}


def encode_name(cursor: Any, name: str) -> str:
	"""The name of a database or table as the server writes it in names of files."""
	# Converted by the server itself: its table has exceptions.
	cursor.execute("SELECT CAST(CONVERT(%s USING filename) AS BINARY)", (name,))
	return cursor.fetchone()[0].decode("ascii")


def find_directory(cursor: Any, database: str) -> Path:
	"""The directory of a database's files."""
	return Path(read_settings(cursor)["datadir"]) / encode_name(cursor, database)


def _ask(cursor: Any, server: Server, database: str) -> str | None:
	settings = read_settings(cursor)
	directory = Path(settings["datadir"]) / encode_name(cursor, database)
	return (
		_check_place(settings, directory)
		or _check_version(settings)
		or _check_settings(settings)
		or tell_missing_rights(cursor, server.user, RIGHTS)
		or _check_tables(cursor, database, directory)
	)


def _check_place(settings: dict[str, str], directory: Path) -> str | None:
	datadir = Path(settings["datadir"])
	if settings["hostname"] != socket.gethostname():
		return f"the server is on another machine ({settings['hostname']})"
	try:
		owner = datadir.stat().st_uid
		directory.stat()
	except PermissionError:
		return f"{datadir} can't be read by this user"
	except OSError:
		return f"{directory} is not on this machine"
	if os.geteuid() not in (0, owner):
		return f"{datadir} belongs to another user, so no tables can be put there"
	if not os.access(datadir, os.R_OK | os.W_OK | os.X_OK):
		return f"{datadir} can't be read and written by this user"
	return None


def _check_version(settings: dict[str, str]) -> str | None:
	tool, server = physical_program.read_version(), settings["version"].split("-")[0]
	if tool == server:
		return None
	return f"{physical_program.PROGRAM} is of version {tool or 'unknown'}, the server of {server}"


def _check_settings(settings: dict[str, str]) -> str | None:
	if settings["innodb_file_per_table"] != "1":
		return "innodb_file_per_table is off, so tables have no files of their own"
	if "0" != settings["innodb_encrypt_log"] or settings["innodb_encrypt_tables"] not in ("OFF", "0"):
		return "the tables are encrypted at rest"
	if settings["innodb_data_home_dir"] not in ("None", "", "./"):
		return "innodb_data_home_dir is set"
	if settings["innodb_undo_directory"] not in ("None", "", "./"):
		return "innodb_undo_directory is set"
	return None


def _check_tables(cursor: Any, database: str, directory: Path) -> str | None:
	cursor.execute(
		"SELECT TABLE_NAME, ENGINE, CREATE_OPTIONS, CAST(CONVERT(TABLE_NAME USING filename) AS BINARY) "
		"FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_TYPE <> 'VIEW'",
		(database,),
	)
	tables = cursor.fetchall()
	if not tables:
		return f"{database} has no tables"
	for name, engine, options, file in tables:
		if engine not in ENGINES:
			return f"table {name} is kept by {engine or 'an engine that is not there'}"
		encoded = file.decode("ascii")
		if not (directory / f"{encoded}.frm").exists():
			return f"{directory} is not where the server keeps {database}"
		if "partitioned" in (options or ""):
			continue
		if engine == "InnoDB" and not (directory / f"{encoded}.ibd").exists():
			return f"table {name} has no file of its own in {directory}"
	return None
