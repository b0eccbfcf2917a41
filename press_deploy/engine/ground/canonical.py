"""One way to write data down: equal data have equal bytes, and so equal hashes."""

from __future__ import annotations

import json
from typing import Any


def canonical_json(data: Any) -> str:
	"""One text for equal data: sorted keys, no spaces, no NaN."""
	return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
