"""The login of the database's administrator, from where Frappe takes it or from a file of root's.

Invariant: a credentials file counts only when nobody but root (or this user) can have written it and
nobody beyond its group can read it.
"""

from __future__ import annotations

import configparser
import os
import stat
from pathlib import Path
from typing import Any

from press_deploy.engine.ground.errors import DeployError, Refused

CREDENTIALS_FILE = Path("/etc/press_deploy/database.cnf")
WHERE_NAMED = f"root_login and root_password in common_site_config.json, or {CREDENTIALS_FILE} (root's, 0640)"
# Frappe's own names, and the key by which a bench names another credentials file.
LOGIN_KEY, PASSWORD_KEY, FILE_KEY = "root_login", "root_password", "press_deploy_database_credentials"


def find_login(config: dict[str, Any], default_user: str) -> tuple[str, str] | None:
	"""User and password of the administrator of the server that a site is on; None where none is named.

	`config` is the site's merged configuration. Raises `Refused` when what is named can't be used.
	"""
	if config.get(PASSWORD_KEY) is not None:
		return config.get(LOGIN_KEY) or default_user, str(config[PASSWORD_KEY])
	file = Path(config.get(FILE_KEY) or CREDENTIALS_FILE)
	if config.get(FILE_KEY) or file.exists():
		return _read_login(file)
	return None


def _read_login(file: Path) -> tuple[str, str]:
	try:
		descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
	except OSError as error:
		raise _refuse(file, error.strerror or str(error), "correct its path and its rights") from None
	with os.fdopen(descriptor) as content:
		status = os.fstat(content.fileno())
		if not stat.S_ISREG(status.st_mode) or status.st_uid not in (0, os.getuid()):
			raise _refuse(file, "it is not a file of root's", f"sudo chown root {file}")
		if status.st_mode & 0o027:
			raise _refuse(file, "others may read or its group may write it", f"sudo chmod 0640 {file}")
		text = content.read()
	parser = configparser.ConfigParser(interpolation=None)
	try:
		parser.read_string(text)
		client = parser["client"]
		user, password = client["user"], client["password"]
	except (configparser.Error, KeyError):
		# The parser's own message repeats the line, and with it the password.
		raise _refuse(file, "it has no section [client] with user and password", "write both") from None
	return user.strip("\"'"), _unquote(password)


def _unquote(value: str) -> str:
	if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
		return value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
	return value


def _refuse(file: Path, why: str, remedy: str) -> DeployError:
	return Refused("Reading the database administrator's credentials in", str(file), why, remedy)
