"""What the rows behind a list of losses hold, as one digest that an approval is bound to.

Invariant: the same rows give the same digest in whatever order they come, and it takes no more memory for
many of them.
"""

from __future__ import annotations

import hashlib

from press_deploy.engine.databases.losses.queries import Pair
from press_deploy.engine.ground.errors import StepFailed

# Each row's digest is a number, and they are added up: M. Bellare, D. Micciancio, “A New Paradigm for
# Collision-Free Hashing” (1997), AdHash. Numbers of 256 bits would be too short: other rows of the same sum
# could be found (D. Wagner, “A Generalized Birthday Problem”, 2002); these are as long as in LtHash.
SUMMAND_BYTES = 256


class Content:
	"""Takes the rows that differ, one by one."""

	def __init__(self) -> None:
		self._sum = 0
		self._columns: dict[str, list[list[str]]] = {}

	def add(self, pair: Pair, what: str, *digests: object) -> None:
		"""Take a row, or what else differs in a table. Raises `StepFailed` where a digest is missing."""
		if None in digests:
			raise StepFailed(
				"Comparing",
				f"table {pair.name}",
				"the server could not take the digest of a row",
				"let `max_allowed_packet` of the server be 16 MiB or more, then ask again",
			)
		if pair.name not in self._columns:
			# The digests are over values alone, and two columns may change their names.
			self._columns[pair.name] = [list(table.columns) for _, table, _ in pair.sides]
		row = hashlib.shake_256(repr((pair.name, what, digests)).encode()).digest(SUMMAND_BYTES)
		self._sum = (self._sum + int.from_bytes(row, "big")) % (1 << 8 * SUMMAND_BYTES)

	def sha256(self) -> str:
		"""The digest of all that was taken; empty when nothing was."""
		if not self._sum:
			return ""
		total = self._sum.to_bytes(SUMMAND_BYTES, "big")
		return hashlib.sha256(total + repr(sorted(self._columns.items())).encode()).hexdigest()
