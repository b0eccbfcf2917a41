"""The parts of one upload to an object store, several on their way at once.

Invariant: no more parts are in memory than are on their way, and one that is being read. When sending ends, well or
not, none is on its way any more, so that an upload which is discarded then gets no part afterwards.
"""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from press_deploy.engine.safe_places.base import Progress

AT_ONCE = 4
MEMORY_BYTES = 64 << 20
# So often it is told how far the parts are, and by that asked whether somebody wants to stop.
TELL_SECONDS = 1.0


class PartSender:
	"""Sends the parts of one upload with `upload_part`, boto3's own, which knows the upload already."""

	def __init__(self, upload_part: Callable[..., dict[str, Any]], part_bytes: int, report: Progress):
		self._upload_part, self._report = upload_part, report
		self._at_once = max(1, min(AT_ONCE, MEMORY_BYTES // part_bytes))
		self._given_up = threading.Event()
		self._under_way: set[Future[tuple[dict[str, Any], int]]] = set()
		self._parts: list[dict[str, Any]] = []
		self._sent = 0

	def send(self, contents: Iterator[bytes], digests: list[bytes]) -> list[dict[str, Any]]:
		"""Send each content with its SHA-256; returns what completing the upload asks for.

		Raises what the first part that fails does, or whoever is told of the progress. Those under way are given up.
		"""
		with ThreadPoolExecutor(self._at_once, "part") as pool:
			try:
				for number, digest in enumerate(digests, start=1):
					while len(self._under_way) >= self._at_once:
						self._collect()
					# Should the file have become shorter by now, reading back shows it.
					if content := next(contents, b""):
						self._under_way.add(pool.submit(self._send_one, number, content, encode(digest)))
				while self._under_way:
					self._collect()
			except BaseException:
				self._given_up.set()
				raise
		return sorted(self._parts, key=lambda part: part["PartNumber"])

	def _send_one(self, number: int, content: bytes, checksum: str) -> tuple[dict[str, Any], int]:
		answer = self._upload_part(
			PartNumber=number,
			Body=_Content(content, self._given_up),
			ChecksumAlgorithm="SHA256",
			ChecksumSHA256=checksum,
		)
		return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}, len(content)

	def _collect(self) -> None:
		"""Wait until a part has arrived, or until it is time to tell that none has."""
		done, self._under_way = wait(self._under_way, TELL_SECONDS, FIRST_COMPLETED)
		for each in done:
			part, size = each.result()
			self._parts.append(part)
			self._sent += size
		self._report(self._sent)


def encode(digest: bytes) -> str:
	"""A digest as the headers of S3 have it."""
	return base64.b64encode(digest).decode()


class _GivenUp(BaseException):
	"""Ends a part in its middle. No `Exception`: those are what boto3 sends a part again for."""


class _Content(io.BytesIO):
	"""What a part consists of, until it is given up."""

	def __init__(self, content: bytes, given_up: threading.Event):
		super().__init__(content)
		self._given_up = given_up

	def read(self, size: int | None = -1, /) -> bytes:
		if self._given_up.is_set():
			raise _GivenUp
		return super().read(size)
