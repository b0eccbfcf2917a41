"""What a web server answered, and which kind of answer that is."""

from __future__ import annotations

from dataclasses import dataclass

GOOD, MAINTENANCE, SERVER_ERROR, CLIENT_ERROR = "good", "503", "5xx", "4xx"
REFUSED, TIMEOUT, BROKEN = "refused", "timeout", "broken"


@dataclass(frozen=True)
class Answer:
	"""One answer: `status` is None when there was none; `latency_ms` until the whole body was there."""

	time: float
	status: int | None
	kind: str
	latency_ms: float
	text: str = ""
	why: str = ""
