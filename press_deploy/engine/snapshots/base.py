"""The port: what a provider of snapshots can be asked, and how it says that it could not answer.

Invariant: only the provider's own word makes a snapshot completed or failed. An answer that was not
understood, or did not come, is "unknown"; it is never taken for "gone", "failed" or "completed".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from press_deploy.engine.ground.checks import Check, fail, ok, warn
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.plan.snapshots import Snapshot

CHECK_NAME = "Cloud snapshot"


class ProviderTrouble(DeployError):
	"""A provider did not do what it was asked.

	`refused`: it understood and said no, so that asking again is no use, and nothing was started. Otherwise
	nobody knows what it did. `retry_after`: for how many seconds it asks to be left alone.
	"""

	def __init__(
		self,
		doing: str,
		what: str,
		why: str,
		remedy: str = "",
		*,
		refused: bool = False,
		status: int | None = None,
		retry_after: float | None = None,
	):
		self.refused, self.status, self.retry_after = refused, status, retry_after
		super().__init__(doing, what, why, remedy)


@dataclass(frozen=True)
class SnapshotStatus:
	"""What is known of one snapshot. `progress` in percent, `retry_after` in seconds."""

	id: str
	state: Literal["pending", "completed", "failed", "unknown"]
	progress: float | None = None
	message: str = ""
	retry_after: float | None = None


class Provider(ABC):
	"""One volume at one provider. All but `status` and `check` raise `ProviderTrouble`."""

	title: str
	# For how long a snapshot just started may be missing in the provider's own lists.
	settle_seconds: float = 0.0

	def __init__(self, spec: Snapshot):
		self.spec = spec
		self._volume = spec.volume
		self._volume_note = ""

	def find_volume(self) -> str:
		"""The volume's id, from the plan or from the metadata of this instance."""
		if self._volume is None:
			self._volume = self._discover_volume()
		return self._volume

	@abstractmethod
	def find_existing(self, run: str) -> SnapshotStatus | None:
		"""This run's snapshot of this volume, whoever started it; None when the provider has none."""

	@abstractmethod
	def start(self, volume: str, tags: Mapping[str, str]) -> str:
		"""Ask for a snapshot with the tags `run` and `plan`; returns the id to ask `status` about."""

	def status(self, snapshot: str) -> SnapshotStatus:
		"""The provider's word on a snapshot; "unknown" with the reason when it gave none. Never raises it."""
		try:
			return self._ask_status(snapshot)
		except ProviderTrouble as trouble:
			return SnapshotStatus(snapshot, "unknown", None, trouble.why, trouble.retry_after)

	def check(self) -> list[Check]:
		"""Preflight: credentials are taken, the volume is there, and a snapshot of it is allowed.

		What is wrong fails where the plan says that a failed snapshot blocks, and warns otherwise.
		"""
		say = fail if self.spec.when_failed == "block" else warn
		try:
			volume = self.find_volume()
			found = self._describe_volume(volume)
			permission = self._check_permission(volume)
		except ProviderTrouble as trouble:
			remedy = trouble.remedy or "see to it, then ask again"
			return [
				say(CHECK_NAME, f"not proven possible. {trouble.doing} {trouble.what}: {trouble.why}", remedy)
			]
		checks = [ok(CHECK_NAME, f"{self.title} knows {found}; {permission}")]
		if self._volume_note:
			checks.append(
				warn(
					f"{CHECK_NAME}: volume",
					self._volume_note,
					"name the volume in the plan if it is another one",
				)
			)
		return checks

	@abstractmethod
	def _discover_volume(self) -> str:
		"""Ask the instance's metadata, and the provider, which volume this machine is on."""

	@abstractmethod
	def _ask_status(self, snapshot: str) -> SnapshotStatus: ...

	@abstractmethod
	def _describe_volume(self, volume: str) -> str:
		"""The volume in words, as the provider describes it."""

	@abstractmethod
	def _check_permission(self, volume: str) -> str:
		"""What is known about the right to make a snapshot, in words."""


def pick(data: Any, *path: str, kind: type | tuple[type, ...] = str, source: str = "the provider") -> Any:
	"""A value out of an answer; an answer of another form raises `ProviderTrouble` that refuses nothing."""
	value = data
	for key in path:
		value = value.get(key) if isinstance(value, dict) else None
	if not isinstance(value, kind) or isinstance(value, bool):
		raise ProviderTrouble(
			"Reading the answer of",
			source,
			f"it holds no usable “{'.'.join(path)}”",
			"see whether something else answers at this address",
		)
	return value


def shorten(text: object, limit: int = 300) -> str:
	"""A message from outside as it may stand in a journal: one line, printable, not endless."""
	line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
	return line if len(line) <= limit else f"{line[:limit]}…"
