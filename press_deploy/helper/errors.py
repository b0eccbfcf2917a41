"""Every error that the helper can answer with, as one tree that survives the wire.

Invariant: each class has a code of its own, and `from_wire(error.to_wire())` is of the same class.
"""

from __future__ import annotations


class HelperError(Exception):
	"""Base of all helper errors; `str(error)` is meant for an admin."""

	code = "error"

	def to_wire(self) -> dict:
		"""Return `{"code", "message"}`."""
		return {"code": self.code, "message": str(self)}


class BadRequest(HelperError):
	"""The request itself is malformed, or one of its arguments is not acceptable."""

	code = "bad_request"


class Denied(HelperError):
	"""The caller may not do that, or nobody may."""

	code = "denied"


class NotFound(HelperError):
	"""What the request names is not there."""

	code = "not_found"


class Conflict(HelperError):
	"""Somebody else holds what the request asks for."""

	code = "conflict"


class Busy(HelperError):
	"""The helper serves as many callers as it will; try again."""

	code = "busy"


class ConfigurationRefused(HelperError):
	"""The helper's own files are wrong or could have been written by somebody other than root."""

	code = "configuration_refused"


class OperationFailed(HelperError):
	"""The request was allowed and attempted, and did not succeed."""

	code = "operation_failed"


class Unreachable(HelperError):
	"""No helper answers. Raised by the client only."""

	code = "unreachable"


CLASSES = {error.code: error for error in (HelperError, *HelperError.__subclasses__())}


def from_wire(error: object) -> HelperError:
	"""Build the error that `to_wire` described; an unknown code becomes a plain `HelperError`."""
	if not isinstance(error, dict):
		return HelperError(f"The helper answered with an unreadable error: {error!r}")
	return CLASSES.get(str(error.get("code")), HelperError)(str(error.get("message")))
