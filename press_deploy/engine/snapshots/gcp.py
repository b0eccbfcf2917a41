"""Snapshots of zonal disks at Google Cloud.

Invariant: the snapshot's name is made of run and volume, and Google Cloud has each name once in a project: two
attempts can never make two snapshots.

Source: Compute Engine API reference v1: disks.createSnapshot, disks.get, disks.testIamPermissions,
snapshots.get (status CREATING, UPLOADING, READY, FAILED, DELETING), zoneOperations.get, instances.get.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from press_deploy.engine.plan.snapshots import Snapshot, project_id, volume_id, zone_name
from press_deploy.engine.snapshots import names
from press_deploy.engine.snapshots.base import Provider, ProviderTrouble, SnapshotStatus, pick, shorten
from press_deploy.engine.snapshots.google_tokens import GoogleTokens, load_key
from press_deploy.engine.snapshots.metadata import InstanceMetadata
from press_deploy.engine.snapshots.rest import RestService

ADDRESS = "https://compute.googleapis.com"
STATES = {"CREATING": "pending", "UPLOADING": "pending", "READY": "completed", "FAILED": "failed"}
PERMISSION = "compute.disks.createSnapshot"
_PASSING_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "backendError", "resourceNotReady"}


class Gcp(Provider):
	"""A zonal disk. `credentials`: service_account_key, the key as JSON text."""

	title = "Google Cloud"

	def __init__(self, spec: Snapshot, credentials: Mapping[str, str] | None = None):
		super().__init__(spec)
		self._metadata = InstanceMetadata("gcp", spec.metadata_url)
		self._credentials = credentials
		self._opened: RestService | None = None
		self._project, self._zone = spec.project, spec.zone
		# The same for each attempt of this process: a repeated request is known as such.
		self._request = str(uuid.uuid4())
		self._operation = ""

	def find_existing(self, run: str) -> SnapshotStatus | None:
		name = self._name_for(run)
		try:
			return self._read(name)
		except ProviderTrouble as trouble:
			if trouble.status == 404:
				return None
			raise

	def start(self, volume: str, tags: Mapping[str, str]) -> str:
		name = self._name_for(tags["run"])
		body = {"name": name, "description": name, "labels": names.gcp_labels(tags)}
		try:
			answer = self._service.post(
				f"{self._disk_path(volume)}/createSnapshot", body, requestId=self._request
			)
		except ProviderTrouble as trouble:
			if trouble.status == 409:
				return name
			raise
		self._operation = pick(answer, "name", source=self.title)
		return name

	def _ask_status(self, snapshot: str) -> SnapshotStatus:
		try:
			return self._read(snapshot)
		except ProviderTrouble as trouble:
			if trouble.status == 404 and self._operation:
				return self._read_operation(snapshot)
			raise

	def _read(self, name: str) -> SnapshotStatus:
		answer = self._service.get(f"{self._project_path}/global/snapshots/{name}")
		state = pick(answer, "status", source=self.title)
		source = pick(answer, "sourceDisk", source=self.title)
		expected = f"/zones/{self._find_zone()}/disks/{self.find_volume()}"
		if not source.endswith(expected):
			why = f"it is one of {shorten(source)}, not of …{expected}"
			raise ProviderTrouble("Reading", f"snapshot {name}", why, "see who made it", refused=True)
		return SnapshotStatus(
			name,
			STATES.get(state, "unknown"),
			None,
			f"{self.title} says: {shorten(state)}",
			self._service.wanted_pause,
		)

	def _read_operation(self, snapshot: str) -> SnapshotStatus:
		"""Before the snapshot is listed, and where there will be none, only the operation knows more."""
		path = f"{self._project_path}/zones/{self._find_zone()}/operations/{quote(self._operation, safe='')}"
		answer = self._service.get(path)
		errors = answer.get("error", {}).get("errors", []) if isinstance(answer.get("error"), dict) else []
		if answer.get("status") == "DONE" and errors:
			text = "; ".join(shorten(f"{error.get('code')}: {error.get('message')}") for error in errors)
			# The name is taken: an earlier attempt was heard after all, and it is the one to wait for.
			exists = any(error.get("code") == "RESOURCE_ALREADY_EXISTS" for error in errors)
			return SnapshotStatus(snapshot, "unknown" if exists else "failed", None, text)
		progress = answer.get("progress")
		known = float(progress) if isinstance(progress, int) and not isinstance(progress, bool) else None
		return SnapshotStatus(snapshot, "pending", known, f"operation {shorten(answer.get('status'))}")

	def _discover_volume(self) -> str:
		instance = self._metadata.read_gcp("instance/name", r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
		answer = self._service.get(f"{self._project_path}/zones/{self._find_zone()}/instances/{instance}")
		disks = [disk for disk in pick(answer, "disks", kind=list, source=self.title) if _is_persistent(disk)]
		chosen = disks if len(disks) == 1 else [disk for disk in disks if disk.get("boot") is True]
		if len(chosen) != 1:
			why = f"{instance} has {len(disks)} persistent disks, and {len(chosen)} to boot from"
			raise ProviderTrouble(
				"Finding", "the disk of this instance", why, "name volume in the plan", refused=True
			)
		name = pick(chosen[0], "source", source=self.title).rpartition("/")[2]
		if len(disks) > 1:
			self._volume_note = f"{instance} has {len(disks)} disks; the one it boots from, {name}, is taken"
		return _check(volume_id, name, "gcp")

	def _describe_volume(self, volume: str) -> str:
		answer = self._service.get(self._disk_path(volume))
		size, state = pick(answer, "sizeGb", source=self.title), pick(answer, "status", source=self.title)
		return f"disk {volume} ({shorten(size)} GB, {shorten(state)}, {self._find_zone()})"

	def _check_permission(self, volume: str) -> str:
		answer = self._service.post(
			f"{self._disk_path(volume)}/testIamPermissions", {"permissions": [PERMISSION]}
		)
		if PERMISSION not in (answer.get("permissions") or []):
			remedy = "give it a role such as Compute Storage Admin"
			why = f"the account lacks {PERMISSION}"
			raise ProviderTrouble("Asking for the right to", "make a snapshot", why, remedy, refused=True)
		return "a snapshot of it is allowed"

	# --- addresses -----------------------------------------------------------------------------

	@property
	def _service(self) -> RestService:
		if self._opened is None:
			key = self._credentials["service_account_key"] if self._credentials else load_key()
			tokens = GoogleTokens(self._metadata, key)
			self._opened = RestService(
				self.title, self.spec.endpoint_url or ADDRESS, tokens, is_passing=_may_pass
			)
		return self._opened

	@property
	def _project_path(self) -> str:
		if self._project is None:
			found = self._metadata.read_gcp("project/project-id", r"[a-z0-9.:-]{6,100}")
			self._project = _check(project_id, found)
		return f"/compute/v1/projects/{quote(self._project, safe=':')}"

	def _find_zone(self) -> str:
		if self._zone is None:
			found = self._metadata.read_gcp("instance/zone", r"projects/[^/]{1,100}/zones/[a-z0-9-]{1,40}")
			self._zone = _check(zone_name, found.rpartition("/")[2])
		return self._zone

	def _disk_path(self, volume: str) -> str:
		return f"{self._project_path}/zones/{self._find_zone()}/disks/{volume}"

	def _name_for(self, run: str) -> str:
		# A disk's name is its own in a zone only.
		return names.name_snapshot(run, self._disk_path(self.find_volume()))


def _is_persistent(disk: Any) -> bool:
	return isinstance(disk, dict) and disk.get("type") == "PERSISTENT"


def _may_pass(status: int, answer: Any) -> bool:
	"""Google Cloud says "too often" with 403 as well."""
	error = answer.get("error") if isinstance(answer, dict) else None
	details = error.get("errors") if isinstance(error, dict) else None
	return any(isinstance(one, dict) and one.get("reason") in _PASSING_REASONS for one in details or [])


def _check(validate: Any, value: str, *more: str) -> str:
	"""A name out of an answer, before it becomes part of a request."""
	try:
		return validate(value, *more)
	except ValueError as error:
		raise ProviderTrouble(
			"Reading",
			"the answer of Google Cloud",
			f"“{shorten(value)}”: {error}",
			"name it in the plan",
			refused=True,
		) from None
