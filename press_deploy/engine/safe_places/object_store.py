"""A bucket of S3, or of a store that speaks its protocol, as safe place.

Invariant: a file counts as stored only after the whole object was read back and compared; the store's own
checksum alone is enough only to say later that a stored object is still the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import FlexibleChecksumError

from press_deploy.engine.ground.checks import Check, fail, ok, warn
from press_deploy.engine.ground.errors import DeployError, StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.plan.safe_places import S3Place
from press_deploy.engine.safe_places import s3_client
from press_deploy.engine.safe_places.base import (
	CHECK_NAME,
	PROBE_TEXT,
	Progress,
	SafePlace,
	StoredFile,
	check_names,
	differing_copy,
	evidence,
	lost_copy,
)
from press_deploy.engine.safe_places.s3_client import translated
from press_deploy.engine.safe_places.s3_transfer import StoreObject, abort_uploads, hash_stored, send

_LOOPBACK = ("localhost", "127.0.0.1")


class ObjectStore(SafePlace):
	"""Objects below a prefix of a bucket."""

	def __init__(self, spec: S3Place, credentials: Mapping[str, str] | None):
		self._spec = spec
		self._client = s3_client.connect(spec, credentials)

	def describe(self) -> str:
		at = f" at {self._spec.endpoint_url}" if self._spec.endpoint_url else ""
		return f"bucket s3://{'/'.join(filter(None, (self._spec.bucket, self._spec.prefix)))}{at}"

	def check(self, needed_bytes: int = 0) -> list[Check]:
		probe = self._object(f"press_deploy-probe-{uuid.uuid4().hex}")
		try:
			with translated("Trying", self.describe()):
				self._try(probe)
		except DeployError as error:
			self._remove_probe(probe)
			return [fail(CHECK_NAME, f"{self.describe()}: {error.why}", error.remedy)]
		found = f"{self.describe()}: written and read a probe"
		if problem := self._remove_probe(probe):
			remedy = (
				f"remove {probe} by hand; press_deploy deletes nothing else there, so it may stay like this"
			)
			return [warn(CHECK_NAME, f"{found}, but it could not be deleted: {problem}", remedy)]
		if self._is_in_the_clear():
			return [warn(CHECK_NAME, f"{found}; http:// sends backups in the clear", "use https://")]
		return [ok(CHECK_NAME, f"{found}, and deleted it")]

	def store(
		self, files: Sequence[StoredFile], below: str, progress: Progress | None = None
	) -> list[dict[str, Any]]:
		check_names(files, below)
		stored, done = [], 0
		for file in files:
			stored.append(self._store_one(file, self._object(f"{below}/{file.name}"), done, progress))
			done += file.size
		return stored

	def holds(self, files: Sequence[StoredFile], below: str) -> Observation:
		check_names(files, below)
		for file in files:
			stored = self._object(f"{below}/{file.name}")
			with translated("Asking for", str(stored)):
				if problem := self._problem_of(stored, file):
					return Observation(False, f"{stored} {problem}")
		return Observation(bool(files), f"{len(files)} object(s) in {self._object(below)}, unchanged")

	def _object(self, name: str) -> StoreObject:
		key = "/".join(filter(None, (self._spec.prefix, name)))
		return StoreObject(self._client, self._spec.bucket, key)

	def _encryption(self) -> dict[str, str]:
		wanted = {
			"ServerSideEncryption": self._spec.server_side_encryption,
			"SSEKMSKeyId": self._spec.kms_key_id,
		}
		return {name: value for name, value in wanted.items() if value}

	def _store_one(
		self, file: StoredFile, target: StoreObject, done: int, progress: Progress | None
	) -> dict[str, Any]:
		report = progress or (lambda _bytes: None)
		with translated("Asking for", str(target)):
			head = target.head()
			is_there = self._has_content(target, head, file)
		if not is_there:
			with translated("Sending", str(target)):
				send(target, file, self._encryption(), lambda sent: report(done + sent))
			with translated("Reading again", str(target)):
				head = target.head()
				if head is None:
					raise lost_copy(str(target))
				if not self._has_content(target, head, file):
					raise differing_copy(str(target))
		self._check_encryption(target, head or {})
		report(done + file.size)
		return evidence(file, str(target), sent=not is_there)

	def _has_content(self, stored: StoreObject, head: dict[str, Any] | None, file: StoredFile) -> bool:
		if head is None or head["ContentLength"] != file.size:
			return False
		try:
			return hash_stored(stored, head) == file.sha256
		except FlexibleChecksumError:
			# boto3 has compared already, with the store's own checksum.
			return False
		except self._client.exceptions.NoSuchKey:
			raise lost_copy(str(stored)) from None

	def _check_encryption(self, target: StoreObject, head: dict[str, Any]) -> None:
		wanted, found = self._spec.server_side_encryption, head.get("ServerSideEncryption")
		if wanted and found != wanted:
			raise StepFailed(
				"Storing",
				str(target),
				f"the plan asks for encryption {wanted}, the store says {found or 'none'}",
				"see whether the store supports it (server_side_encryption in the plan); delete the object if it must not be there",
			)

	def _problem_of(self, stored: StoreObject, file: StoredFile) -> str:
		"""What is wrong with a stored file; empty when its size and the store's checksum are right."""
		head = stored.head()
		if head is None:
			return "is not there"
		if head["ContentLength"] != file.size:
			return f"has {head['ContentLength']} bytes instead of {file.size}"
		noted = head.get("Metadata", {})
		# With several parts the store adds their number: checksum-3.
		found = head.get("ChecksumSHA256", "").partition("-")[0]
		if found and found == noted.get("checksum") and noted.get("sha256") == file.sha256:
			return ""
		# A store that tells no checksum proves nothing by itself.
		return "" if self._has_content(stored, head, file) else "has another content"

	def _keys(self, prefix: str) -> list[str]:
		pages = self._client.get_paginator("list_objects_v2").paginate(
			Bucket=self._spec.bucket, Prefix=prefix
		)
		keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
		return [key for key in keys if key.startswith(prefix)]

	def _try(self, probe: StoreObject) -> None:
		self._client.put_object(
			**probe.address, **self._encryption(), Body=PROBE_TEXT, ChecksumAlgorithm="SHA256"
		)
		answer = self._client.get_object(**probe.address)
		if answer["Body"].read() != PROBE_TEXT:
			raise differing_copy(str(probe))
		self._check_encryption(probe, answer)
		self._keys(probe.key)
		abort_uploads(self._client, probe.bucket, probe.key)

	def _remove_probe(self, probe: StoreObject) -> str:
		"""Delete the probe; return why that failed."""
		try:
			with translated("Deleting", str(probe)):
				self._client.delete_object(**probe.address)
		except DeployError as error:
			return error.why
		return ""

	def _is_in_the_clear(self) -> bool:
		endpoint = urlsplit(self._spec.endpoint_url or "")
		return endpoint.scheme == "http" and endpoint.hostname not in _LOOPBACK
