"""Does the encryption key of a site open the passwords that its database stores?

Invariant: neither the key nor a password is in what this returns or raises.
"""

from __future__ import annotations

import pymysql
from cryptography.fernet import Fernet, InvalidToken

from press_deploy.engine.errors import StepFailed
from press_deploy.engine.mariadb.server import Server

# A site that once changed its key has rows that nothing opens any more; one that opens shows the key.
TRIED_ROWS = 50


def check_encryption_key(server: Server, database: str, encryption_key: str | None) -> str | None:
	"""Why the key opens no stored password; None when it opens one, or when none is stored.

	Raises `StepFailed` when the database can't be asked. Frappe stores them with Fernet in `__Auth`.
	"""
	try:
		with server.session(database) as cursor:
			cursor.execute("SELECT `password` FROM `__Auth` WHERE `encrypted` = 1 LIMIT %s", (TRIED_ROWS,))
			tokens = [row[0] for row in cursor.fetchall()]
	except (pymysql.Error, OSError) as error:
		why = str(error.args[-1] if error.args else error)
		raise StepFailed(
			"Reading stored passwords of", f"database {database}", why, "see whether MariaDB runs"
		) from None
	if not tokens:
		return None
	if not encryption_key:
		return "passwords are stored, but the site's configuration has no encryption_key to read them with"
	try:
		key = Fernet(encryption_key.encode())
	except ValueError:
		return "the site's encryption_key is no key: it must be 32 bytes in base64"
	if any(_opens(key, token) for token in tokens):
		return None
	return (
		f"the site's encryption_key opens none of {len(tokens)} stored passwords: they belong to another key"
	)


def _opens(key: Fernet, token: str | bytes | None) -> bool:
	try:
		key.decrypt(token or b"")
	except (InvalidToken, ValueError):
		return False
	return True
