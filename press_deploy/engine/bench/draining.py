"""What a drain still waits for, in words.

Invariant: every job is counted; only as many are named as somebody reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

NAMED = 4
AT_WORK, WAITING = "running", "waiting"
STATES = {AT_WORK: "at work", WAITING: "waiting for a worker"}


def describe_jobs(jobs: Sequence[dict[str, Any]]) -> str:
	"""“1 job at work: a (queue long); 6 waiting for a worker: b (queue short, 5 times), c (queue short)”.

	`jobs` are as the site process's `drain` gives them: {"method", "queue", "state"}.
	"""
	states = {state: [job for job in jobs if job["state"] == state] for state in STATES}
	parts = [f"{len(some)} {STATES[state]}: {_name(some)}" for state, some in states.items() if some]
	return "; ".join(parts)


def _name(jobs: list[dict[str, Any]]) -> str:
	counts = Counter((job["method"], job["queue"]) for job in jobs)
	names = [
		f"{method} (queue {queue}{f', {count} times' if count > 1 else ''})"
		for (method, queue), count in counts.most_common(NAMED)
	]
	more = len(counts) - len(names)
	return ", ".join([*names, *([f"and {more} others"] if more else [])])
