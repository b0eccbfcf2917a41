"""One file to an object store and back, in parts, each with the checksum that the store must find as well.

Invariant: whatever is sent was read from a file that has the manifest's SHA-256; when sending ends, well or
not, no half-made upload of its key is left behind, or the error says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore import exceptions

from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.remedies import see_disk
from press_deploy.engine.safe_places import s3_client
from press_deploy.engine.safe_places.base import Progress, StoredFile, altered_source
from press_deploy.engine.safe_places.s3_client import error_code, translate
from press_deploy.engine.safe_places.s3_parts import PartSender, encode

# S3 takes at most 10,000 parts of at least 5 MiB.
PART_BYTES = 16 << 20
MAXIMUM_PARTS = 10_000

_LEFTOVERS = (
	"; parts of it could not be removed either and cost space: the next attempt removes them, "
	"or a lifecycle rule for incomplete multipart uploads"
)


@dataclass(frozen=True)
class StoreObject:
	"""One key of a bucket, and the client that reaches it."""

	client: Any
	bucket: str
	key: str

	def __str__(self) -> str:
		return f"s3://{self.bucket}/{self.key}"

	@property
	def address(self) -> dict[str, str]:
		return {"Bucket": self.bucket, "Key": self.key}

	def head(self) -> dict[str, Any] | None:
		"""What the store says about the object; None when it is not there."""
		try:
			return self.client.head_object(**self.address, ChecksumMode="ENABLED")
		except exceptions.ClientError as error:
			if s3_client.is_missing(error):
				return None
			raise


def send(target: StoreObject, file: StoredFile, settings: dict[str, str], report: Progress) -> None:
	"""Send a file; `settings` are the encryption's. Raises `StepFailed` and boto3's own errors."""
	digests = _measure(file)
	checksum = _combine(digests)
	# With these the store's own checksum tells later whether the object is still what was sent.
	settings = {**settings, "Metadata": {"sha256": file.sha256, "checksum": checksum}}
	with _no_leftovers(target):
		if len(digests) == 1:
			_send_whole(target, file, settings, checksum)
			report(file.size)
		else:
			_send_parts(target, file, settings, digests, report)


def hash_stored(stored: StoreObject, head: dict[str, Any]) -> str:
	"""SHA-256 of an object, read back whole; an object that is replaced meanwhile is an error."""
	digest, size = hashlib.sha256(), head["ContentLength"]
	for start in range(0, size, PART_BYTES):
		end = min(start + PART_BYTES, size)
		digest.update(_read_range(stored, head["ETag"], start, end))
	return digest.hexdigest()


def abort_uploads(client: Any, bucket: str, key: str) -> None:
	"""Discard the half-made uploads of a key."""
	# A prefix is all that can be asked for.
	pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=key)
	uploads = [upload for page in pages for upload in page.get("Uploads", []) if upload["Key"] == key]
	for upload in uploads:
		try:
			client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload["UploadId"])
		except exceptions.ClientError as error:
			if error_code(error) != "NoSuchUpload":
				raise


def _part_bytes(size: int) -> int:
	return max(PART_BYTES, -(-size // MAXIMUM_PARTS))


def _parts(file: StoredFile) -> Iterator[bytes]:
	"""The content in parts, of which an empty file has one."""
	length = _part_bytes(file.size)
	try:
		with file.path.open("rb") as content:
			part = content.read(length)
			yield part
			while part := content.read(length):
				yield part
	except OSError as error:
		raise StepFailed(
			"Reading", str(file.path), error.strerror or str(error), see_disk(file.path)
		) from error


def _measure(file: StoredFile) -> list[bytes]:
	"""The digest of each part, of a file that is what the manifest says."""
	whole, size, digests = hashlib.sha256(), 0, []
	for part in _parts(file):
		whole.update(part)
		size += len(part)
		digests.append(hashlib.sha256(part).digest())
	if (size, whole.hexdigest()) != (file.size, file.sha256):
		raise altered_source(file)
	return digests


def _combine(digests: list[bytes]) -> str:
	"""The checksum that S3 computes: the object's own, or with several parts the one of theirs, in a row.

	https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
	"""
	return encode(digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest())


def _send_whole(target: StoreObject, file: StoredFile, settings: dict[str, Any], checksum: str) -> None:
	target.client.put_object(
		**target.address,
		**settings,
		Body=next(_parts(file)),
		ChecksumAlgorithm="SHA256",
		ChecksumSHA256=checksum,
	)


def _send_parts(
	target: StoreObject, file: StoredFile, settings: dict[str, Any], digests: list[bytes], report: Progress
) -> None:
	client, address = target.client, target.address
	upload = client.create_multipart_upload(**address, **settings, ChecksumAlgorithm="SHA256")["UploadId"]
	upload_part = partial(client.upload_part, **address, UploadId=upload)
	parts = PartSender(upload_part, _part_bytes(file.size), report).send(_parts(file), digests)
	try:
		client.complete_multipart_upload(**address, UploadId=upload, MultipartUpload={"Parts": parts})
	except exceptions.ClientError as error:
		# The answer to the first request was lost and this is the one to its repetition: reading back decides.
		if error_code(error) != "NoSuchUpload":
			raise


@contextmanager
def _no_leftovers(target: StoreObject) -> Iterator[None]:
	"""Discard what a killed process left of this key, and what is left when this one ends."""
	abort_uploads(target.client, target.bucket, target.key)
	try:
		yield
	except BaseException as error:
		try:
			abort_uploads(target.client, target.bucket, target.key)
		except (exceptions.BotoCoreError, exceptions.ClientError):
			if failure := _with_leftovers(target, error):
				raise failure from error
		raise
	# A request to begin that was repeated after a lost answer has begun two uploads.
	abort_uploads(target.client, target.bucket, target.key)


def _with_leftovers(target: StoreObject, error: BaseException) -> StepFailed | None:
	"""The failure, with a word about what it leaves; None for a wish to stop, which stays what it is."""
	if isinstance(error, exceptions.BotoCoreError | exceptions.ClientError):
		error = translate("Sending", str(target), error)
	if not isinstance(error, StepFailed):
		return None
	return StepFailed(error.doing, error.what, error.why, error.remedy + _LEFTOVERS)


def _read_range(stored: StoreObject, etag: str, start: int, end: int) -> bytes:
	"""Bytes `start` to `end` (not included). boto3 repeats a request, but not the reading of its answer."""
	for attempt in range(s3_client.ATTEMPTS):
		try:
			answer = stored.client.get_object(
				**stored.address, Range=f"bytes={start}-{end - 1}", IfMatch=etag
			)
			return answer["Body"].read()
		except (exceptions.HTTPClientError, exceptions.IncompleteReadError):
			if attempt + 1 == s3_client.ATTEMPTS:
				raise
	raise AssertionError("unreachable: ATTEMPTS is positive")
