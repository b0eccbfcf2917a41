"""What is seen of an effect, as opposed to what was meant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Observation:
	"""What reality says of a step's effect: whether it is there, and what was found."""

	done: bool
	found: str
	evidence: dict[str, Any] = field(default_factory=dict)
