"""Waiting for something that nobody announces: look, pause, look again.

Invariant: what came within the time is seen, since the last look is made when the time is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.1

Seen = TypeVar("Seen")


def wait_until(
	look: Callable[[], Seen],
	seconds: float,
	is_enough: Callable[[Seen], bool] = bool,
	*,
	poll_seconds: float = POLL_SECONDS,
	heed: Callable[[], object] | None = None,
) -> Seen:
	"""Look until what is seen is enough, or `seconds` have passed. Returns what was seen last, be it enough or not.

	Between two looks are `poll_seconds`. `heed` is called before each pause: what it raises ends the waiting, as
	somebody's wish to stop does. Raises nothing of its own, and what `look` raises.
	"""
	deadline = time.monotonic() + seconds
	while not is_enough(seen := look()):
		if (rest := deadline - time.monotonic()) <= 0:
			break
		if heed:
			heed()
		time.sleep(min(poll_seconds, rest))
	return seen
