"""Taking one snapshot: find the run's own or start it, then wait until the provider says that it is completed.

Invariant: a run has one snapshot of a volume, however often it was killed: before each attempt to start one
the provider is asked for it, and after an attempt whose outcome nobody knows it is asked again, later.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.plan.snapshots import Snapshot
from press_deploy.engine.snapshots.base import Provider, ProviderTrouble, SnapshotStatus

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 2.0, 120.0
# Somebody may ask the run to stop during a long pause, so it is made of short ones.
SLICE_SECONDS = 15.0
Result = TypeVar("Result")
Progress = Callable[[SnapshotStatus], None]


def take_snapshot(
	provider: Provider,
	spec: Snapshot,
	tags: Mapping[str, str],
	on_progress: Progress | None = None,
	*,
	attempted_before: bool = True,
	clock: Callable[[], float] = time.monotonic,
	sleep: Callable[[float], None] = time.sleep,
	jitter: Callable[[], float] = random.random,
) -> dict[str, Any]:
	"""Take the snapshot of a run, or go on waiting for the one it has. Safe to repeat after a kill -9.

	`tags` holds `run` and `plan`. `attempted_before` is False only where the journal proves that this step never
	began: otherwise a snapshot that is not listed is looked for once more after the provider's settling time.
	`on_progress` hears each status, also during pauses; what it raises ends the waiting. `jitter` is in [0, 1).
	Returns the evidence: provider, volume, id, whether it was found or started, seconds waited, last message.
	Raises `StepFailed` when the provider refuses, says that the snapshot failed, or `spec.timeout_seconds`
	have passed.
	"""
	waiting = _Waiting(spec, on_progress or (lambda status: None), clock, sleep, jitter)
	volume = waiting.try_until_answered("Finding the volume for", provider.find_volume)
	status, started = _find_or_start(waiting, provider, volume, tags, attempted_before)
	status = _wait_until_completed(waiting, provider, volume, status)
	return {
		"provider": spec.provider,
		"volume": volume,
		"snapshot": status.id,
		"state": status.state,
		"how": "started" if started else "found from before",
		"waited_seconds": round(waiting.passed, 1),
		"message": status.message,
	}


@dataclass
class _Waiting:
	"""The time that is left, and the pauses in it."""

	spec: Snapshot
	on_progress: Progress
	clock: Callable[[], float]
	sleep: Callable[[float], None]
	jitter: Callable[[], float]
	begun: float = field(init=False)
	troubles: int = 0

	def __post_init__(self) -> None:
		self.begun = self.clock()

	@property
	def passed(self) -> float:
		return self.clock() - self.begun

	@property
	def left(self) -> float:
		return self.spec.timeout_seconds - self.passed

	def pause(self, seconds: float, status: SnapshotStatus) -> None:
		"""Wait, but not past the deadline, and go on telling what is known meanwhile."""
		end = self.clock() + min(seconds, max(self.left, 0.0))
		while (remaining := end - self.clock()) > 0:
			self.sleep(min(remaining, SLICE_SECONDS))
			if end - self.clock() > 0:
				self.on_progress(status)

	def back_off(self, status: SnapshotStatus) -> None:
		"""Wait longer after each trouble in a row, and at least as long as the provider asked for."""
		self.troubles += 1
		doubled = FIRST_PAUSE_SECONDS * 2 ** min(self.troubles - 1, 10)
		spread = min(doubled, LONGEST_PAUSE_SECONDS) * (0.5 + self.jitter() / 2)
		self.pause(max(spread, status.retry_after or 0.0), status)

	def tolerate(self, trouble: ProviderTrouble, doing: str, volume: str) -> None:
		"""Back off from a trouble that may pass; raise `StepFailed` for a refusal and at the deadline."""
		if trouble.refused:
			raise StepFailed(trouble.doing, trouble.what, trouble.why, trouble.remedy) from trouble
		unknown = SnapshotStatus("", "unknown", None, trouble.why, trouble.retry_after)
		self.on_progress(unknown)
		self.back_off(unknown)
		if self.left <= 0:
			raise StepFailed(
				doing,
				volume,
				f"there was no usable answer within {self.spec.timeout_seconds} s; the last trouble: {trouble.why}",
				"look at the provider whether a snapshot of this run is there, then start the plan again",
			) from trouble

	def try_until_answered(self, doing: str, act: Callable[[], Result]) -> Result:
		while True:
			try:
				result = act()
			except ProviderTrouble as trouble:
				self.tolerate(trouble, doing, "the cloud snapshot")
			else:
				self.troubles = 0
				return result


def _find_or_start(
	waiting: _Waiting, provider: Provider, volume: str, tags: Mapping[str, str], in_doubt: bool
) -> tuple[SnapshotStatus, bool]:
	"""The run's snapshot, and whether it was started here. `in_doubt`: one may be there and not yet listed."""
	started = False
	while True:
		try:
			existing = provider.find_existing(tags["run"])
			if existing is None and in_doubt and provider.settle_seconds:
				waiting.pause(provider.settle_seconds, SnapshotStatus("", "unknown", None, "looking for one"))
				existing = provider.find_existing(tags["run"])
			if existing:
				return existing, started
			# From here on the outcome is known only when an answer says so.
			in_doubt = started = True
			return SnapshotStatus(provider.start(volume, tags), "pending", None, "asked for"), True
		except ProviderTrouble as trouble:
			waiting.tolerate(trouble, "Asking for a snapshot of", volume)


def _wait_until_completed(
	waiting: _Waiting, provider: Provider, volume: str, status: SnapshotStatus
) -> SnapshotStatus:
	waiting.troubles = 0
	known = status
	while True:
		waiting.on_progress(status)
		if status.state == "completed":
			return status
		if status.state == "failed":
			raise StepFailed(
				"Taking a snapshot of",
				volume,
				f"{provider.title} says that snapshot {status.id} failed: {status.message or 'it gives no reason'}",
				"see the snapshot at the provider, then start a new run; or deploy with the proven backup alone",
			)
		if waiting.left <= 0:
			raise _too_late(waiting, provider, volume, known, status)
		if status.state == "unknown":
			waiting.back_off(status)
		else:
			waiting.troubles, known = 0, status
			waiting.pause(max(waiting.spec.poll_seconds, status.retry_after or 0.0), status)
		answer = provider.status(known.id)
		# Nobody knows is not "nothing done yet": what was known last is still shown.
		status = replace(answer, progress=known.progress) if answer.state == "unknown" else answer


def _too_late(
	waiting: _Waiting, provider: Provider, volume: str, known: SnapshotStatus, last: SnapshotStatus
) -> StepFailed:
	progress = f", {known.progress:g} %" if known.progress is not None else ""
	trouble = f"; the last answer: {last.message}" if last.state == "unknown" and last.message else ""
	return StepFailed(
		"Waiting for the snapshot of",
		volume,
		f"{known.id} was not completed within {waiting.spec.timeout_seconds} s (last known: {known.state}{progress})"
		f"{trouble}. It goes on at {provider.title}",
		"see how far it is at the provider; a resumed run goes on waiting for the same one. "
		"Raise timeout_seconds for the next plan",
	)
