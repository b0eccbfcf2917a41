"""DigitalOcean on loopback: API v2 with its rate limit headers, and the droplet's metadata."""

from __future__ import annotations

import re
import time
import uuid
from typing import Any

from tests.support.cloud_providers import Answer, LoopbackServer, Question, Refusal

TOKEN = "dop_v1_secret"
DROPLET, VOLUME = 3164444, "506f78a4-e098-11e5-ad9f-000f53306ae1"
IDS = {400: "bad_request", 401: "unauthorized", 404: "not_found", 422: "unprocessable_entity"}


class DigitalOceanCloud(LoopbackServer):
	"""One droplet with one volume. `action_story`, `image_story`: the state at each reading, the last one stays."""

	def __init__(self) -> None:
		super().__init__()
		self.token = TOKEN
		self.remaining = 4999
		self.reset_in = 120
		self.volume_ids: list[str] = [VOLUME]
		self.snapshots: list[dict[str, Any]] = []
		self.actions: list[dict[str, Any]] = []
		self.action_story = ["in-progress", "in-progress", "completed"]
		self.image_story = ["available"]
		self.page_size_limit = 200

	def error_body(self, status: int, message: str) -> Any:
		return {"id": IDS.get(status, "server_error"), "message": message, "request_id": str(uuid.uuid4())}

	def refuse(self, status: int, message: str) -> Refusal:
		return Refusal(Answer(status, self.error_body(status, message)))

	def answer(self, question: Question) -> Answer:
		if question.path.startswith("/metadata/v1/"):
			found = question.path == "/metadata/v1/id"
			return Answer(200 if found else 404, str(DROPLET) if found else "not found")
		if question.headers.get("Authorization") != f"Bearer {self.token}":
			raise self.refuse(401, "Unable to authenticate you")
		limits = {
			"ratelimit-limit": "5000",
			"ratelimit-remaining": str(self.remaining),
			"ratelimit-reset": str(int(time.time()) + self.reset_in),
		}
		status, body = self._route(question)
		return Answer(status, body, limits)

	def _route(self, question: Question) -> tuple[int, Any]:
		routes = {
			r"POST /v2/volumes/([^/]+)/snapshots": (201, self._snapshot_volume),
			r"GET /v2/volumes/([^/]+)/snapshots": (200, self._list_snapshots),
			r"GET /v2/volumes/([^/]+)": (200, self._get_volume),
			r"POST /v2/droplets/([^/]+)/actions": (201, self._snapshot_droplet),
			r"GET /v2/droplets/([^/]+)/actions": (200, self._list_actions),
			r"GET /v2/droplets/([^/]+)/snapshots": (200, self._list_snapshots),
			r"GET /v2/droplets/([^/]+)": (200, self._get_droplet),
			r"GET /v2/actions/([^/]+)": (200, self._get_action),
			r"GET /v2/snapshots/([^/]+)": (200, self._get_snapshot),
			r"GET /v2/images/([^/]+)": (200, self._get_image),
		}
		for pattern, (status, act) in routes.items():
			if match := re.fullmatch(pattern, f"{question.method} {question.path}"):
				return status, act(question, match.group(1))
		raise self.refuse(400 if question.method == "POST" else 404, "no such method")

	# --- what there is -------------------------------------------------------------------------

	def _get_volume(self, question: Question, volume: str) -> Any:
		self.demand(re.fullmatch(r"[0-9a-f-]{36}", volume), "a volume's id is a UUID")
		if volume not in self.volume_ids:
			raise self.refuse(404, "The resource you were accessing could not be found.")
		return {"volume": {"id": volume, "name": "erp", "size_gigabytes": 40, "droplet_ids": [DROPLET]}}

	def _get_droplet(self, question: Question, droplet: str) -> Any:
		self.demand(droplet.isdecimal(), "a droplet's id is a number")
		if droplet != str(DROPLET):
			raise self.refuse(404, "The resource you were accessing could not be found.")
		return {
			"droplet": {"id": DROPLET, "name": "erp-1", "status": "active", "volume_ids": self.volume_ids}
		}

	def _get_resource(self, question: Question, resource: str) -> Any:
		volume = question.path.startswith("/v2/volumes/")
		return self._get_volume(question, resource) if volume else self._get_droplet(question, resource)

	# --- snapshots -----------------------------------------------------------------------------

	def add_snapshot(self, name: str, resource: str, tags: list[str] | None = None) -> dict[str, Any]:
		of_droplet = resource == str(DROPLET)
		snapshot = {
			"id": 6372321 + len(self.snapshots) if of_droplet else str(uuid.uuid4()),
			"name": name,
			"created_at": "2026-01-01T00:00:00Z",
			"regions": ["fra1"],
			"resource_id": resource,
			"resource_type": "droplet" if of_droplet else "volume",
			"min_disk_size": 40,
			"size_gigabytes": 12.5,
			"tags": tags or [],
		}
		self.snapshots.append(snapshot)
		return snapshot

	def _snapshot_volume(self, question: Question, volume: str) -> Any:
		self._get_volume(question, volume)
		self.demand(question.headers["Content-Type"] == "application/json", "the body is JSON")
		self.demand_fields(question.json, {"name": str}, {"tags": list})
		for tag in question.json.get("tags", []):
			self.demand(isinstance(tag, str) and re.fullmatch(r"[A-Za-z0-9:_-]{1,255}", tag), f"tag {tag}")
		return {"snapshot": self.add_snapshot(question.json["name"], volume, question.json.get("tags"))}

	def _snapshot_droplet(self, question: Question, droplet: str) -> Any:
		self._get_droplet(question, droplet)
		self.demand_fields(question.json, {"type": str, "name": str}, {})
		self.demand(question.json["type"] == "snapshot", "type")
		if any(action["status"] == "in-progress" for action in self.actions):
			raise self.refuse(422, "Droplet already has a pending event.")
		return {"action": self.add_action(question.json["name"])}

	def add_action(self, name: str) -> dict[str, Any]:
		action = {"id": 36805096 + len(self.actions), "status": "in-progress", "type": "snapshot"}
		action |= {"resource_id": DROPLET, "resource_type": "droplet"}
		self.actions.append({**action, "_name": name})
		return action

	def finish_action(self, status: str = "completed") -> None:
		self.actions[-1]["status"] = status
		if status == "completed":
			self.add_snapshot(self.actions[-1]["_name"], str(DROPLET))

	def _get_action(self, question: Question, action: str) -> Any:
		found = next((one for one in self.actions if str(one["id"]) == action), None)
		if found is None:
			raise self.refuse(404, "The resource you were accessing could not be found.")
		status = self.action_story.pop(0) if len(self.action_story) > 1 else self.action_story[0]
		if found["status"] == "in-progress" and status != "in-progress":
			self.finish_action(status)
		return {"action": _without_name({**found, "status": status})}

	def _list_actions(self, question: Question, droplet: str) -> Any:
		return self._page(question, "actions", [_without_name(one) for one in reversed(self.actions)])

	def _list_snapshots(self, question: Question, resource: str) -> Any:
		self._get_resource(question, resource)
		return self._page(
			question, "snapshots", [one for one in self.snapshots if one["resource_id"] == resource]
		)

	def _page(self, question: Question, key: str, entries: list[Any]) -> Any:
		page, size = int(question.query.get("page", 1)), int(question.query.get("per_page", 20))
		self.demand(page >= 1 and 1 <= size <= 200, "page and per_page")
		size = min(size, self.page_size_limit)
		more = {"pages": {"next": f"{self.url}{question.path}?page={page + 1}"}}
		return {
			key: entries[(page - 1) * size : page * size],
			"links": more if page * size < len(entries) else {},
			"meta": {"total": len(entries)},
		}

	def _find(self, snapshot: str, kind: str) -> dict[str, Any]:
		for one in self.snapshots:
			if str(one["id"]) == snapshot and kind in ("", one["resource_type"]):
				return one
		raise self.refuse(404, "The resource you were accessing could not be found.")

	def _get_snapshot(self, question: Question, snapshot: str) -> Any:
		return {"snapshot": self._find(snapshot, "")}

	def _get_image(self, question: Question, snapshot: str) -> Any:
		found = self._find(snapshot, "droplet")
		status = self.image_story.pop(0) if len(self.image_story) > 1 else self.image_story[0]
		return {"image": {"id": found["id"], "name": found["name"], "type": "snapshot", "status": status}}


def _without_name(action: dict[str, Any]) -> dict[str, Any]:
	return {key: value for key, value in action.items() if key != "_name"}
