"""Snapshots of volumes and droplets at DigitalOcean.

Invariant: a run's snapshot is the one of its name, of this volume or droplet. A droplet's snapshot is completed
when its action is *and* its image is available. Volumes have no such state: DigitalOcean makes their snapshots
at once, so that one is completed when it can be read back, and the evidence says so.

Source: DigitalOcean API reference v2: Block Storage ("Create Snapshot from a Volume"), Droplet Actions
("snapshot"), Actions, Images (status), Snapshots, "Rate Limit".
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from press_deploy.engine.plan.snapshots import Snapshot, volume_id
from press_deploy.engine.snapshots import names
from press_deploy.engine.snapshots.base import Provider, ProviderTrouble, SnapshotStatus, pick, shorten
from press_deploy.engine.snapshots.metadata import InstanceMetadata
from press_deploy.engine.snapshots.rest import RestService

ADDRESS = "https://api.digitalocean.com"
TOKEN_VARIABLES = ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")
PAGE_SIZE, PAGE_LIMIT = 200, 500
IMAGE_STATES = {"NEW": "pending", "pending": "pending", "available": "completed"}
ACTION = "action-"


class DigitalOcean(Provider):
	"""A volume, or a droplet with its own disk. `credentials`: token."""

	title = "DigitalOcean"
	settle_seconds = 5.0

	def __init__(self, spec: Snapshot, credentials: Mapping[str, str] | None = None):
		super().__init__(spec)
		self._credentials = credentials
		self._metadata = InstanceMetadata("digitalocean", spec.metadata_url)
		self._of_droplet = spec.kind == "droplet"
		self._name = ""
		self._service = RestService(
			self.title, spec.endpoint_url or ADDRESS, lambda fresh: self._read_token(), is_passing=_may_pass
		)

	def find_existing(self, run: str) -> SnapshotStatus | None:
		self._name = names.name_snapshot(run, self.find_volume())
		found = self._find_by_name()
		if found is None and self._of_droplet:
			self._refuse_while_under_way()
		# Listed is enough to know that it is there, whatever is answered about its state.
		return self.status(found) if found else None

	def start(self, volume: str, tags: Mapping[str, str]) -> str:
		self._name = names.name_snapshot(tags["run"], volume)
		if self._of_droplet:
			answer = self._service.post(
				f"/v2/droplets/{volume}/actions", {"type": "snapshot", "name": self._name}
			)
			return f"{ACTION}{pick(answer, 'action', 'id', kind=int, source=self.title)}"
		body = {"name": self._name, "tags": names.digitalocean_tags(tags)}
		answer = self._service.post(f"/v2/volumes/{volume}/snapshots", body)
		return _check_id(pick(answer, "snapshot", "id", source=self.title))

	def _ask_status(self, snapshot: str) -> SnapshotStatus:
		if snapshot.startswith(ACTION):
			return self._read_action(snapshot)
		if self._of_droplet:
			return self._read_image(snapshot)
		answer = self._service.get(f"/v2/snapshots/{snapshot}")
		same = pick(answer, "snapshot", "id", kind=(str, int), source=self.title)
		if str(same) != snapshot:
			return SnapshotStatus(snapshot, "unknown", None, "another snapshot was answered")
		size = answer["snapshot"].get("size_gigabytes")
		return SnapshotStatus(
			snapshot, "completed", None, f"it can be read back ({size} GB); volumes know no other state"
		)

	def _read_action(self, snapshot: str) -> SnapshotStatus:
		answer = self._service.get(f"/v2/actions/{snapshot.removeprefix(ACTION)}")
		state, pause = pick(answer, "action", "status", source=self.title), self._service.wanted_pause
		if state == "errored":
			return SnapshotStatus(snapshot, "failed", None, "the snapshot action errored", pause)
		if state != "completed":
			known = "pending" if state == "in-progress" else "unknown"
			return SnapshotStatus(snapshot, known, None, f"{self.title} says: {shorten(state)}", pause)
		found = self._find_by_name()
		if found is None:
			return SnapshotStatus(
				snapshot, "pending", None, "the action is done, the snapshot not yet listed"
			)
		return self._read_image(found)

	def _read_image(self, snapshot: str) -> SnapshotStatus:
		answer = self._service.get(f"/v2/images/{snapshot}")
		state = pick(answer, "image", "status", source=self.title)
		failed = shorten(answer["image"].get("error_message") or "")
		known = "failed" if failed else IMAGE_STATES.get(state, "unknown")
		message = failed or f"{self.title} says: {shorten(state)}"
		return SnapshotStatus(snapshot, known, None, message, self._service.wanted_pause)

	def _find_by_name(self) -> str | None:
		"""The id of the snapshot of this run's name, among those of this volume or droplet."""
		kind = "droplets" if self._of_droplet else "volumes"
		for snapshot in self._list(f"/v2/{kind}/{self.find_volume()}/snapshots", "snapshots"):
			if snapshot.get("name") == self._name:
				return _check_id(str(pick(snapshot, "id", kind=(str, int), source=self.title)))
		return None

	def _refuse_while_under_way(self) -> None:
		"""An action does not say for whom it is: it may be this run's, so no other one is started beside it."""
		for action in self._list(f"/v2/droplets/{self.find_volume()}/actions", "actions", pages=1):
			if action.get("type") == "snapshot" and action.get("status") == "in-progress":
				raise ProviderTrouble(
					"Asking for a snapshot of",
					f"droplet {self.find_volume()}",
					f"a snapshot of it is under way (action {shorten(action.get('id'))})",
					"wait until it is done",
				)

	def _list(self, path: str, key: str, pages: int = PAGE_LIMIT) -> list[dict[str, Any]]:
		found: list[dict[str, Any]] = []
		for page in range(1, pages + 1):
			answer = self._service.get(path, page=page, per_page=PAGE_SIZE)
			entries = pick(answer, key, kind=list, source=self.title)
			found += [entry for entry in entries if isinstance(entry, dict)]
			links = answer.get("links") if isinstance(answer.get("links"), dict) else {}
			following = links.get("pages") if isinstance(links.get("pages"), dict) else {}
			if not following.get("next"):
				break
		return found

	def _discover_volume(self) -> str:
		droplet = self._metadata.read_digitalocean("id", r"[1-9][0-9]{0,15}")
		if self._of_droplet:
			return droplet
		answer = self._service.get(f"/v2/droplets/{droplet}")
		volumes = pick(answer, "droplet", "volume_ids", kind=list, source=self.title)
		if len(volumes) != 1:
			remedy = "name volume in the plan" if volumes else "set resource to droplet in the plan"
			why = f"droplet {droplet} has {len(volumes)} volumes"
			raise ProviderTrouble("Finding", "the volume of this droplet", why, remedy, refused=True)
		try:
			return volume_id(volumes[0], "volume")
		except ValueError as error:
			raise ProviderTrouble("Reading", f"the volume of droplet {droplet}", str(error)) from None

	def _describe_volume(self, volume: str) -> str:
		if self._of_droplet:
			answer = self._service.get(f"/v2/droplets/{volume}")
			name, state = (pick(answer, "droplet", key, source=self.title) for key in ("name", "status"))
			return f"droplet {volume} ({shorten(name)}, {shorten(state)})"
		answer = self._service.get(f"/v2/volumes/{volume}")
		name = pick(answer, "volume", "name", source=self.title)
		size = pick(answer, "volume", "size_gigabytes", kind=(int, float), source=self.title)
		return f"volume {volume} ({shorten(name)}, {size} GiB)"

	def _check_permission(self, volume: str) -> str:
		return "whether its token may write shows only when the snapshot is asked for"

	def _read_token(self) -> str:
		"""The token, read anew each time: one that was renewed is used at once."""
		if self._credentials is not None:
			return self._credentials["token"]
		for variable in TOKEN_VARIABLES:
			if token := os.environ.get(variable, "").strip():
				return _check_token(token)
		raise ProviderTrouble(
			"Looking for",
			"DigitalOcean's token",
			f"neither {' nor '.join(TOKEN_VARIABLES)} is set",
			"set it for the bench user, or choose credentials from the settings",
			refused=True,
		)


def _may_pass(status: int, answer: Any) -> bool:
	"""A droplet does one thing after the other, and refuses (422) what comes meanwhile."""
	message = str(answer.get("message", "")).lower() if isinstance(answer, dict) else ""
	return status == 422 and ("pending event" in message or "blocking events" in message)


def _check_id(value: str) -> str:
	"""An id out of an answer, before it becomes part of a request."""
	if not re.fullmatch(r"[0-9a-f-]{1,64}", value):
		raise ProviderTrouble(
			"Reading the answer of", "DigitalOcean", f"“{shorten(value)}” is no id of a snapshot"
		)
	return value


def _check_token(token: str) -> str:
	if not re.fullmatch(r"[\x21-\x7e]{1,1000}", token):
		raise ProviderTrouble(
			"Reading", "DigitalOcean's token", "it holds what no token holds", "paste it again", refused=True
		)
	return token
