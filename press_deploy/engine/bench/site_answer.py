"""The answer of a site process: JSON in memory that both processes have open. It needs no disk, and leaves no file."""

from __future__ import annotations

import json
import os

# Each site process imports this module, and many have no other use for `typing`.
TYPE_CHECKING = False
if TYPE_CHECKING:
	from typing import Any, BinaryIO


def open_answer(task: str) -> BinaryIO:
	"""Room for one answer; its descriptor is handed to the site process by number."""
	return open(os.memfd_create(f"answer of {task}"), "r+b", buffering=0)


def write_answer(descriptor: int, data: dict[str, Any]) -> None:
	"""Give the answer, once, from the site process. Raises `TypeError` and `ValueError` for what is no JSON."""
	content = json.dumps(data).encode()
	with open(descriptor, "wb") as answer:
		answer.write(content)


def read_answer(answer: BinaryIO) -> dict[str, Any]:
	"""What the process that is over has said. Raises `ValueError` where it is not whole."""
	answer.seek(0)
	return json.loads(answer.read())
