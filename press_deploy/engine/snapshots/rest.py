"""Asking a REST service of a provider, and the one place where what goes wrong there is put into our words.

Invariant: no call waits for ever, follows a redirect, or lets a token into a message; an answer is a JSON
object with a status below 300, and everything else is `ProviderTrouble`.
"""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests
from requests.auth import AuthBase

from press_deploy.engine.snapshots.base import ProviderTrouble, shorten

CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
BODY_LIMIT = 5_000_000
LONGEST_RETRY_AFTER = 3600.0
# The service may do it when it is asked again: too early, too often, in conflict with something under way.
_PASSING_STATUSES = {408, 423, 425, 429}

REMEDIES = {
	401: "see whether the token has expired or was revoked, and put a valid one in place",
	403: "give the account behind these credentials the right to read volumes and make snapshots",
	404: "see whether volume, project and zone are written as the provider shows them",
}


class RestService:
	"""A JSON service at one address. `token(fresh)` gives the bearer token; `fresh`: not one seen before."""

	def __init__(
		self,
		title: str,
		address: str,
		token: Callable[[bool], str] | None = None,
		*,
		timeout: tuple[float, float] = (CONNECT_SECONDS, READ_SECONDS),
		through_proxy: bool = True,
		is_passing: Callable[[int, Any], bool] = lambda status, answer: False,
	):
		"""`is_passing` knows refusals of this service, by status and answer, that asking again may change."""
		self.title, self._address, self._token = title, address, token
		self._timeout, self._through_proxy, self._is_passing = timeout, through_proxy, is_passing
		self.wanted_pause: float | None = None

	def get(self, path: str, **parameters: str | int) -> Any:
		return self._ask("GET", path, parameters, None, None)

	def post(self, path: str, body: Mapping[str, Any], **parameters: str) -> Any:
		return self._ask("POST", path, parameters, body, None)

	def post_form(self, path: str, form: Mapping[str, str]) -> Any:
		return self._ask("POST", path, {}, None, form)

	def _ask(self, method, path, parameters, body, form) -> Any:
		response, text = self._send(method, path, parameters, body, form, fresh=False)
		if response.status_code == 401 and self._token:
			# A token may end at any time before its announced end.
			response, text = self._send(method, path, parameters, body, form, fresh=True)
		answer = _decode(text)
		self.wanted_pause = read_pause(response.headers, response.status_code)
		if response.status_code < 300 and isinstance(answer, dict):
			return answer
		raise self._explain(method, path, response.status_code, answer, response.request)

	def _send(self, method, path, parameters, body, form, *, fresh: bool) -> tuple[requests.Response, str]:
		token = self._token(fresh) if self._token else None
		try:
			with requests.Session() as session:
				session.trust_env = self._through_proxy
				with session.request(
					method,
					self._address + path,
					params=parameters,
					json=body,
					data=form,
					# An explicit one, or requests takes what ~/.netrc holds for this host.
					auth=_Bearer(token),
					timeout=self._timeout,
					allow_redirects=False,
					stream=True,
				) as response:
					return response, read_body(response, time.monotonic() + sum(self._timeout))
		except (requests.RequestException, OSError, ValueError) as error:
			why = f"there was no whole answer ({type(error).__name__})"
			raise ProviderTrouble(
				"Asking", f"{self.title} ({method} {path})", why, "see whether this machine reaches it"
			) from None

	def _explain(
		self, method: str, path: str, status: int, answer: Any, request: requests.PreparedRequest
	) -> ProviderTrouble:
		passing = status >= 500 or status in _PASSING_STATUSES or self._is_passing(status, answer)
		refused = 400 <= status < 500 and not passing
		# An answer may quote the request.
		token = request.headers.get("Authorization", "").removeprefix("Bearer ")
		said = find_message(answer)
		message = shorten(said.replace(token, "***") if token else said)
		why = f"it answered {status}" + (f": {message}" if message else ", and no message that can be read")
		remedy = REMEDIES.get(status, "see the provider's own status page and message")
		what = f"{self.title} ({method} {path})"
		return ProviderTrouble(
			"Asking", what, why, remedy, refused=refused, status=status, retry_after=self.wanted_pause
		)


class _Bearer(AuthBase):
	def __init__(self, token: str | None):
		self._token = token

	def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
		if self._token:
			request.headers["Authorization"] = f"Bearer {self._token}"
		return request


def read_body(response: requests.Response, deadline: float) -> str:
	"""The body, up to a limit, before `deadline` (monotonic seconds), or raise: one that drips has to end."""
	body = b""
	for part in response.iter_content(65_536):
		body += part
		if len(body) > BODY_LIMIT or time.monotonic() > deadline:
			raise requests.Timeout
	return body.decode("utf-8", "replace")


def read_pause(headers: Mapping[str, str], status: int) -> float | None:
	"""For how many seconds the service wants to be left alone, or None when it does not say.

	Source: RFC 9110, 10.2.3 (Retry-After), and DigitalOcean's API reference, "Rate Limit" (ratelimit-remaining,
	ratelimit-reset in seconds since 1970).
	"""
	seconds = _read_retry_after(headers.get("Retry-After", ""))
	if seconds is None and (status == 429 or headers.get("ratelimit-remaining") == "0"):
		reset = headers.get("ratelimit-reset", "")
		seconds = float(reset) - time.time() if re.fullmatch(r"[0-9]{1,12}", reset) else None
	return None if seconds is None else min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _read_retry_after(value: str) -> float | None:
	if re.fullmatch(r"[0-9]{1,9}", value.strip()):
		return float(value)
	try:
		moment = email.utils.parsedate_to_datetime(value).timestamp()
	except (TypeError, ValueError, OverflowError):
		return None
	return moment - time.time() if math.isfinite(moment) else None


def find_message(answer: Any) -> str:
	"""The message in an error as Google (`error.message`), OAuth 2.0 and DigitalOcean (`message`) write it."""
	if not isinstance(answer, dict):
		return ""
	error = answer.get("error")
	if isinstance(error, dict):
		return str(error.get("message", ""))
	return str(answer.get("message") or answer.get("error_description") or error or "")


def _decode(text: str) -> Any:
	try:
		return json.loads(text)
	except (ValueError, RecursionError):
		return None
