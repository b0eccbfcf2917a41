"""Google Cloud on loopback: Compute Engine API v1, the OAuth 2.0 token service and the instance's metadata."""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.support.cloud_providers import Answer, LoopbackServer, Question, Refusal

PROJECT, ZONE, DISK, INSTANCE = "shop-production", "europe-west9-a", "erp-disk", "erp-1"
BASE = f"/compute/v1/projects/{PROJECT}"
NAME = r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"
LABEL_KEY, LABEL_VALUE = r"[a-z][a-z0-9_-]{0,62}", r"[a-z0-9_-]{0,63}"
REASONS = {400: "badRequest", 401: "authError", 403: "forbidden", 404: "notFound", 409: "alreadyExists"}


class GoogleCloud(LoopbackServer):
	"""One project with one instance. `story` is the status of a snapshot at each reading, the last one stays."""

	def __init__(self) -> None:
		super().__init__()
		self.snapshots: dict[str, dict[str, Any]] = {}
		self.operations: dict[str, dict[str, Any]] = {}
		self.requests_seen: dict[str, dict[str, Any]] = {}
		self.tokens: list[str] = []
		self.story = ["CREATING", "UPLOADING", "READY"]
		self.unlisted_for = 0
		self.operation_error: dict[str, str] | None = None
		self.may_snapshot = True
		self.attached = [{"type": "PERSISTENT", "boot": True, "source": f"zones/{ZONE}/disks/{DISK}"}]
		self.private_key = rsa.generate_private_key(65_537, 2048)

	def key(self) -> str:
		"""A service account's key, as Google Cloud hands it out."""
		pem = self.private_key.private_bytes(
			serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
		)
		return json.dumps(
			{
				"type": "service_account",
				"project_id": PROJECT,
				"private_key_id": "k1",
				"private_key": pem.decode(),
				"client_email": f"deploy@{PROJECT}.iam.gserviceaccount.com",
				"client_id": "1",
				"token_uri": f"{self.url}/token",
			}
		)

	def expire_tokens(self) -> None:
		self.tokens.clear()

	def error_body(self, status: int, message: str) -> Any:
		details = [{"message": message, "domain": "global", "reason": REASONS.get(status, "backendError")}]
		return {"error": {"code": status, "message": message, "errors": details}}

	def refuse(self, status: int, message: str) -> Refusal:
		return Refusal(Answer(status, self.error_body(status, message)))

	def answer(self, question: Question) -> Answer:
		if question.path.startswith("/computeMetadata/"):
			return self._answer_metadata(question)
		if question.path == "/token":
			return self._answer_token(question)
		token = question.headers.get("Authorization", "").removeprefix("Bearer ")
		if token not in self.tokens:
			raise self.refuse(401, "Request had invalid authentication credentials.")
		return Answer(200, self._answer_compute(question))

	# --- tokens and metadata -------------------------------------------------------------------

	def _issue(self) -> dict[str, Any]:
		self.tokens.append(f"ya29.{uuid.uuid4().hex}")
		return {"access_token": self.tokens[-1], "expires_in": 3599, "token_type": "Bearer"}

	def _answer_metadata(self, question: Question) -> Answer:
		if question.headers.get("Metadata-Flavor") != "Google":
			return Answer(403, "missing Metadata-Flavor")
		values = {
			"instance/name": INSTANCE,
			"instance/zone": f"projects/123456/zones/{ZONE}",
			"project/project-id": PROJECT,
		}
		path = question.path.removeprefix("/computeMetadata/v1/")
		if path == "instance/service-accounts/default/token":
			return Answer(200, self._issue(), {"Metadata-Flavor": "Google"})
		return Answer(200 if path in values else 404, values.get(path, ""), {"Metadata-Flavor": "Google"})

	def _answer_token(self, question: Question) -> Answer:
		self.demand(question.method == "POST", "the token service takes POST")
		self.demand(
			question.headers["Content-Type"] == "application/x-www-form-urlencoded", "the body is a form"
		)
		form = parse_qs(question.content.decode())
		self.demand(form.get("grant_type") == ["urn:ietf:params:oauth:grant-type:jwt-bearer"], "grant_type")
		header, claims, signature = form["assertion"][0].split(".")
		self.private_key.public_key().verify(
			_decode(signature), f"{header}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
		)
		self.demand(json.loads(_decode(header)) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}, "header")
		said = json.loads(_decode(claims))
		self.demand(set(said) == {"iss", "scope", "aud", "iat", "exp"}, "claims")
		self.demand(said["aud"] == f"{self.url}/token" and said["scope"].startswith("https://"), "aud, scope")
		self.demand(abs(said["iat"] - time.time()) < 300 and 0 < said["exp"] - said["iat"] <= 3600, "times")
		return Answer(200, self._issue())

	# --- Compute Engine ------------------------------------------------------------------------

	def _answer_compute(self, question: Question) -> Any:
		for pattern, act in self._routes().items():
			method, _, path = pattern.partition(" ")
			if question.method == method and (match := re.fullmatch(BASE + path, question.path)):
				return act(question, *match.groups())
		raise self.refuse(400 if question.method == "POST" else 404, f"no such method: {question.path}")

	def _routes(self) -> dict[str, Any]:
		disk = f"/zones/{ZONE}/disks/([^/]+)"
		return {
			f"POST {disk}/createSnapshot": self._create_snapshot,
			f"POST {disk}/testIamPermissions": self._test_permissions,
			f"GET {disk}": self._get_disk,
			"GET /global/snapshots/([^/]+)": self._get_snapshot,
			f"GET /zones/{ZONE}/operations/([^/]+)": self._get_operation,
			f"GET /zones/{ZONE}/instances/([^/]+)": self._get_instance,
		}

	def _get_disk(self, question: Question, disk: str) -> Any:
		if disk != DISK:
			raise self.refuse(
				404, f"The resource 'projects/{PROJECT}/zones/{ZONE}/disks/{disk}' was not found"
			)
		return {"kind": "compute#disk", "name": disk, "sizeGb": "40", "status": "READY"}

	def _test_permissions(self, question: Question, disk: str) -> Any:
		self.demand_fields(question.json, {"permissions": list}, {})
		return {"permissions": question.json["permissions"]} if self.may_snapshot else {}

	def _create_snapshot(self, question: Question, disk: str) -> Any:
		self._get_disk(question, disk)
		self.demand(question.headers["Content-Type"] == "application/json", "the body is JSON")
		self.demand(set(question.query) <= {"requestId", "guestFlush"}, "query")
		request = str(uuid.UUID(question.query["requestId"]))
		body = question.json
		self.demand_fields(body, {"name": str}, {"description": str, "labels": dict})
		self.demand(re.fullmatch(NAME, body["name"]), "name does not comply with RFC 1035")
		for key, value in body.get("labels", {}).items():
			self.demand(re.fullmatch(LABEL_KEY, key) and re.fullmatch(LABEL_VALUE, value), f"label {key}")
		if request in self.requests_seen:
			return self.requests_seen[request]
		if body["name"] in self.snapshots:
			raise self.refuse(409, f"The resource '{body['name']}' already exists")
		operation = {"kind": "compute#operation", "name": f"operation-{uuid.uuid4().hex}", "progress": 0}
		operation["status"] = "RUNNING"
		if self.operation_error:
			operation |= {"status": "DONE", "error": {"errors": [self.operation_error]}}
		else:
			source = f"https://www.googleapis.com{BASE}/zones/{ZONE}/disks/{disk}"
			self.snapshots[body["name"]] = {**body, "kind": "compute#snapshot", "sourceDisk": source}
		self.operations[operation["name"]] = self.requests_seen[request] = operation
		return operation

	def _get_snapshot(self, question: Question, name: str) -> Any:
		if name not in self.snapshots or self.unlisted_for > 0:
			self.unlisted_for -= name in self.snapshots
			raise self.refuse(404, f"The resource 'projects/{PROJECT}/global/snapshots/{name}' was not found")
		status = self.story.pop(0) if len(self.story) > 1 else self.story[0]
		return {**self.snapshots[name], "status": status}

	def _get_operation(self, question: Question, name: str) -> Any:
		return self.operations[name]

	def _get_instance(self, question: Question, name: str) -> Any:
		if name != INSTANCE:
			raise self.refuse(404, "no such instance")
		return {"kind": "compute#instance", "name": name, "disks": self.attached}


def _decode(text: str) -> bytes:
	return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
