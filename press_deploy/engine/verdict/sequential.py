"""Whether a share is above its limit, asked again and again while it is counted.

Whoever looks 1,800 times at a test made for one look finds something by chance. Here what is bet against "the share
keeps the limit" grows only where it does not: a mixture of likelihood ratios (Wald, “Sequential tests of
statistical hypotheses”, 1945; Robbins, “Statistical methods related to the law of the iterated logarithm”, 1970).
While the limit is kept, the probability that it *ever* grows to 1/a is at most a (Ville, 1939), however often and
whenever one looks, and however many looks are added because the first ones said nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

# Which shares it is bet on, as factors of the limit's odds, each with its part of the stake: three times the limit
# should be found soonest, a total failure at once, and what is hardly above the limit in the end.
_STAKES = ((2.0, 0.2), (3.0, 0.6), (10.0, 0.1), (200.0, 0.1))


@dataclass
class SequentialShare:
	"""Counts hits among trials, and how much they speak against a true share of at most `limit` (0 to 1)."""

	limit: float
	# How much of each trial is new (0 to 1); those that follow each other say less. A stake that is not wholly bet
	# grows less still, so that what holds for 1 holds for less.
	independence: float = 1.0
	hits: int = 0
	total: int = 0
	# The logarithm of what each stake has become, and the highest that all together ever were.
	_stakes: list[float] = field(init=False)
	_highest: float = field(init=False, default=0.0)

	def __post_init__(self) -> None:
		self._stakes = [math.log(weight) for _factor, weight in _STAKES]
		self._gains = [_gain(self.limit, factor) for factor, _weight in _STAKES] if 0 < self.limit < 1 else []

	def count(self, hits: int, total: int) -> None:
		"""So many more trials, and how many of them were hits."""
		self.hits, self.total = self.hits + hits, self.total + total
		if not self._gains:
			# No share is above 100 %, and a single hit is above 0 %.
			self._highest = math.inf if self.limit <= 0 and self.hits else 0.0
			return
		misses = total - hits
		for number, (of_hit, of_miss) in enumerate(self._gains):
			self._stakes[number] += self.independence * (hits * of_hit + misses * of_miss)
		top = max(self._stakes)
		together = top + math.log(sum(math.exp(stake - top) for stake in self._stakes))
		self._highest = max(self._highest, together)

	@property
	def probability(self) -> float:
		"""At most so probable is it that this much is ever seen while the share keeps its limit; 1 says nothing."""
		return math.exp(-self._highest)


def _gain(limit: float, factor: float) -> tuple[float, float]:
	"""By how much (in logarithms) a hit and a miss change the stake on `factor` times the limit's odds."""
	odds = factor * limit / (1 - limit)
	share = odds / (1 + odds)
	return math.log(share / limit), math.log((1 - share) / (1 - limit))
