"""Does the encryption key in a backup open the passwords that the backup's database stores?

Invariant: neither the key nor a password is in what this returns or raises.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from press_deploy.engine.backup.config_secrets import KEY_NAME, LEFT_OUT, read_config
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.backup_files import config_file, describe
from press_deploy.engine.databases.stored_passwords import Stored
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.remedies import see_disk

# Its name in a site's configuration.
NAME = "encryption_key"


def check_backup_key(bench: Bench, directory: Path, stored: Stored) -> str:
	"""See that the key in a whole backup opens what was `stored` in what it restores; returns what was seen.

	A key that was left out of the backup is the site's own. Raises `StepFailed`.
	"""
	file = config_file(directory)
	try:
		config = read_config(file, bench.deployments / KEY_NAME) if file else {}
	except OSError as error:
		why = error.strerror or str(error)
		raise StepFailed("Reading", str(file), why, see_disk(str(file))) from None
	left_out = NAME in config.get(LEFT_OUT, [])
	site = describe(directory)["site"]
	# A site sees the keys of all sites, too, where it has none of its own.
	kept = bench.read_config(site) if left_out else {**bench.read_common_config(), **config}
	if problem := find_key_problem(stored, kept.get(NAME)):
		raise refuse_key(site, problem)
	if stored and left_out:
		return "the site's own opens what is stored; it was left out of the backup"
	return say_opened(stored)


def refuse_key(site: str, problem: str) -> StepFailed:
	"""The error of a key that opens nothing."""
	return StepFailed(
		"Proving",
		f"the backup of {site}",
		problem,
		f"put the right {NAME} into site_config.json, then make a new backup: without it no stored password can be "
		"read again",
	)


def find_key_problem(stored: Stored, encryption_key: str | None) -> str | None:
	"""Why the key opens no stored password; None when it opens one, or when none is stored."""
	if not stored:
		return None
	if not encryption_key:
		return "passwords are stored, but the site's configuration has no encryption_key to read them with"
	try:
		key = Fernet(encryption_key.encode())
	except (ValueError, AttributeError):
		return "the site's encryption_key is no key: it must be 32 bytes in base64"
	if any(_opens(key, token) for token in stored):
		return None
	return (
		f"the site's encryption_key opens none of {len(stored)} stored passwords: they belong to another key"
	)


def say_opened(stored: Stored) -> str:
	"""What was seen where there is no problem."""
	if stored is None:
		return "not looked at: there is no table of stored passwords"
	return "opens what is stored" if stored else "no password is stored that it would have to open"


def _opens(key: Fernet, token: str | bytes | None) -> bool:
	try:
		key.decrypt(token or b"")
	except (InvalidToken, ValueError):
		return False
	return True
