"""The configuration in a backup holds passwords in clear: leave them out, or encrypt the file.

Invariant: the plain file is removed only after the encrypted one was read back; the key goes to no safe place,
so that a copy there is useless to a thief. Whoever loses the bench needs the key's copy: `export_key`.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any, Literal

from cryptography.fernet import Fernet, InvalidToken

from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.inputs import is_secret_name
from press_deploy.engine.ground.remedies import OTHER_BACKUP, see_disk

Mode = Literal["leave_out", "encrypt", "plain"]
ENCRYPTED_SUFFIX = ".encrypted"
# In the file itself, so that whoever restores it knows what to fill in.
LEFT_OUT = "press_deploy_left_out"
KEY_NAME = "backup.key"
# Beside the key: that it was copied elsewhere, and which key that was.
_EXPORTED_SUFFIX = ".exported"
# How every Fernet token begins: version 0x80, and the first bytes of a time before the year 2106.
_TOKEN_START = b"gAAAA"


def protect_config(path: Path, mode: Mode, key_file: Path) -> Path:
	"""Protect the secrets in the configuration of a backup; returns the path of the file that is kept.

	`key_file` is `<bench>/deployments/backup.key`, made where it is missing. Safe to repeat. Raises
	`StepFailed`.
	"""
	encrypted = path.with_name(path.name + ENCRYPTED_SUFFIX)
	if mode == "encrypt":
		return _encrypt(path, encrypted, key_file)
	if mode == "leave_out":
		config = _parse(path.read_bytes(), path)
		left_out: list[str] = list(config.pop(LEFT_OUT, []))
		kept = _leave_out(config, "", left_out)
		durable.write_json(path, {**kept, LEFT_OUT: left_out})
	else:
		os.chmod(path, 0o600)
	return path


def read_config(path: Path, key_file: Path) -> dict[str, Any]:
	"""The configuration in a backup, decrypted where it is encrypted. Raises `StepFailed`."""
	content = path.read_bytes()
	if is_encrypted(content):
		content = _decrypt(content, path, key_file)
	return _parse(content, path)


def export_key(key_file: Path, target: Path) -> None:
	"""Copy the key to the new file `target` (mode 0600), for a place apart from the bench and its backups.

	The key is made where there is none yet. Raises `StepFailed`, and `OSError` when `target` can't be written.
	"""
	key = _make_key(key_file)
	descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
	with os.fdopen(descriptor, "wb") as file:
		file.write(key + b"\n")
		file.flush()
		os.fsync(file.fileno())
	if _read_key(target) != key:
		raise _refuse_key(target, "what was written differs when it is read back", see_disk(target))
	durable.write_json(_exported(key_file), {"sha256": hashlib.sha256(key).hexdigest()})


def is_exported(key_file: Path) -> bool:
	"""Whether the key that is there was ever copied elsewhere. Raises `StepFailed` when it can't be read."""
	if not key_file.exists():
		return False
	key = _read_key(key_file)
	if not _exported(key_file).exists():
		return False
	return json.loads(_exported(key_file).read_text()) == {"sha256": hashlib.sha256(key).hexdigest()}


def _exported(key_file: Path) -> Path:
	return key_file.with_name(key_file.name + _EXPORTED_SUFFIX)


def is_encrypted(content: bytes) -> bool:
	return content.startswith(_TOKEN_START)


def _encrypt(path: Path, encrypted: Path, key_file: Path) -> Path:
	if not path.exists() and encrypted.exists():
		return encrypted
	content = path.read_bytes()
	_parse(content, path)
	token = Fernet(_make_key(key_file)).encrypt(content)
	durable.write_text(encrypted, token.decode())
	if _decrypt(encrypted.read_bytes(), encrypted, key_file) != content:
		raise StepFailed(
			"Encrypting", str(path), "what was written differs when it is read back", see_disk(path)
		)
	path.unlink()
	durable.sync_directory(path.parent)
	return encrypted


def _decrypt(token: bytes, path: Path, key_file: Path) -> bytes:
	try:
		return Fernet(_read_key(key_file)).decrypt(token)
	except InvalidToken:
		raise StepFailed(
			"Decrypting", str(path), f"it was changed, or encrypted with another key than the one in {key_file}",
			f"put the key of the bench that made the backup into {key_file}",
		) from None  # fmt: skip


def _make_key(key_file: Path) -> bytes:
	"""The key, made when there is none yet; of two that make one at the same time, both use the first."""
	if not key_file.exists():
		descriptor, temporary = tempfile.mkstemp(dir=key_file.parent, prefix=f".{key_file.name}.")
		try:
			with os.fdopen(descriptor, "wb") as file:
				file.write(Fernet.generate_key())
				file.flush()
				os.fsync(file.fileno())
			os.link(temporary, key_file)
		except FileExistsError:
			pass
		finally:
			os.unlink(temporary)
		durable.sync_directory(key_file.parent)
	return _read_key(key_file)


def _read_key(key_file: Path) -> bytes:
	try:
		descriptor = os.open(key_file, os.O_RDONLY | os.O_NOFOLLOW)
	except OSError as error:
		remedy = f"put the key of the bench that made the backup into {key_file}"
		if isinstance(error, PermissionError):
			remedy = see_disk(key_file)
		raise _refuse_key(key_file, error.strerror or str(error), remedy) from None
	with os.fdopen(descriptor, "rb") as file:
		if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
			raise _refuse_key(
				key_file, "others than its owner may read or write it", f"chmod 0600 {key_file}"
			)
		key = file.read().strip()
	try:
		Fernet(key)
	except ValueError:
		raise _refuse_key(
			key_file,
			"it holds no key",
			f"bring {key_file} back from the copy that press-deploy backup-key made; without it nothing can be read",
		) from None
	return key


def _refuse_key(key_file: Path, why: str, remedy: str) -> StepFailed:
	return StepFailed("Reading the key of backups in", str(key_file), why, remedy)


def _parse(content: bytes, path: Path) -> dict[str, Any]:
	try:
		config = json.loads(content)
	except ValueError:
		config = None
	if not isinstance(config, dict):
		# Not the parser's message: it may repeat a line.
		raise StepFailed("Reading", str(path), "it holds no JSON object", OTHER_BACKUP)
	return config


def _leave_out(value: Any, place: str, left_out: list[str]) -> Any:
	"""The same data with null for every secret; their places, as `mail.password`, are added to `left_out`."""
	if isinstance(value, list):
		return [_leave_out(item, f"{place}[{number}]", left_out) for number, item in enumerate(value)]
	if not isinstance(value, dict):
		return value
	kept = {}
	for name, item in value.items():
		inner = f"{place}.{name}" if place else name
		if is_secret_name(name) and item is not None:
			left_out.append(inner)
			kept[name] = None
		else:
			kept[name] = _leave_out(item, inner, left_out)
	return kept
