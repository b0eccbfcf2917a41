"""How what is kept beside a site's database is called, and what it is kept for."""

from __future__ import annotations

import hashlib

STANDBY, QUARANTINE = "standby", "quarantine"
PURPOSES = (STANDBY, QUARANTINE)
NAME_LIMIT = 64
SHORT_RUN_LENGTH = 20


def name_database(database: str, purpose: str, run: str) -> str:
	"""`<database>_<purpose>_<run>`, the run in short, within 64 characters: more can be no name in MariaDB.

	The same three always give the same name, and different ones different names.
	"""
	short = run if len(run) <= SHORT_RUN_LENGTH else f"{run[:15]}-{run[-4:]}"
	if short != run and not run.replace("-", "").isalnum():
		short = hashlib.sha256(run.encode()).hexdigest()[:SHORT_RUN_LENGTH]
	suffix = f"_{purpose}_{short}".replace("-", "_")
	if len(database) + len(suffix) <= NAME_LIMIT:
		return database + suffix
	digest = hashlib.sha256(database.encode()).hexdigest()[:8]
	return f"{database[: NAME_LIMIT - len(suffix) - 9]}_{digest}{suffix}"
