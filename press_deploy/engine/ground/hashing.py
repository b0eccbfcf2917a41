"""What a file's content is known by."""

from __future__ import annotations

import hashlib
from pathlib import Path

from press_deploy.engine.ground.durable import CHUNK_BYTES


def hash_file(path: Path) -> str:
	"""SHA-256 of a file's content."""
	digest = hashlib.sha256()
	with path.open("rb") as file:
		while chunk := file.read(CHUNK_BYTES):
			digest.update(chunk)
	return digest.hexdigest()
