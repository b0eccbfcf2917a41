"""What is known of a dump that was read to its end, and what it is measured against."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class DumpFacts:
	"""What is known of a whole dump. Sizes in bytes; `tables` holds the rows of each."""

	kind: str
	compression: str | None
	bytes: int
	read_bytes: int
	sha256: str
	tables: dict[str, int] = field(default_factory=dict)
	# Names by kind: views, triggers, procedures, functions, events, sequences.
	objects: dict[str, list[str]] = field(default_factory=dict)
	database: str | None = None
	server_version: str | None = None
	frappe_version: str | None = None
	# Of the statements that fill tables, in bytes.
	longest_statement: int = 0
	# Tables that were dumped with the rows they had once (--dump-history), which are counted too.
	historic: list[str] = field(default_factory=list)
	# What no check here could see, as sentences.
	doubts: list[str] = field(default_factory=list)

	def as_data(self) -> dict[str, Any]:
		return asdict(self)


@dataclass(frozen=True)
class Expectation:
	"""What a dump is measured against; None where nothing is known. `previous_size` in bytes of the file."""

	previous_size: int | None = None
	database: str | None = None
	server_version: str | None = None
	frappe_version: str | None = None


ANYTHING = Expectation()


def is_newer(version: str | None, than: str | None, parts: int) -> bool:
	"""Whether the first numbers of a version are greater; False where one of them is not known."""
	numbers = [tuple(map(int, re.findall(r"\d+", text or "")[:parts])) for text in (version, than)]
	return all(numbers) and numbers[0] > numbers[1]
