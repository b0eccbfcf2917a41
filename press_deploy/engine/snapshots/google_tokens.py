"""Access tokens of Google Cloud: from a service account's key, else from the instance's metadata.

Invariant: key and token stay in memory; a token is used until shortly before its end, and is asked for anew
when the service no longer takes it.

Source: Google Identity, "Using OAuth 2.0 for Server to Server Applications" (HTTP/REST), and RFC 7523.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from google.auth import crypt, jwt

from press_deploy.engine.plan.snapshots import endpoint
from press_deploy.engine.snapshots.base import ProviderTrouble, pick
from press_deploy.engine.snapshots.metadata import InstanceMetadata
from press_deploy.engine.snapshots.rest import RestService

KEY_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
SCOPE = "https://www.googleapis.com/auth/compute"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME_SECONDS, EARLY_SECONDS = 3600, 60
KEY_SIZE_LIMIT = 100_000


class GoogleTokens:
	"""Call it for a bearer token. `key` is a service account's key as JSON text, None where there is none."""

	def __init__(
		self, metadata: InstanceMetadata, key: str | None = None, now: Callable[[], float] = time.time
	):
		self._metadata, self._key, self._now = metadata, key, now
		self._token, self._ends = "", 0.0

	def __call__(self, fresh: bool = False) -> str:
		if fresh or self._now() >= self._ends - EARLY_SECONDS:
			begun = self._now()
			answer = self._exchange_key() if self._key is not None else self._ask_metadata()
			token = pick(answer, "access_token", source="Google's token service")
			lifetime = pick(answer, "expires_in", kind=(int, float), source="Google's token service")
			self._token, self._ends = token, begun + lifetime
		return self._token

	def _ask_metadata(self) -> Any:
		text = self._metadata.read_gcp("instance/service-accounts/default/token", r"\{.*\}")
		try:
			return json.loads(text)
		except ValueError:
			return None

	def _exchange_key(self) -> Any:
		key = read_key(self._key or "")
		address = urlsplit(key["token_uri"])
		service = RestService("Google's token service", f"{address.scheme}://{address.netloc}")
		return service.post_form(
			address.path or "/", {"grant_type": GRANT, "assertion": sign_claims(key, int(self._now()))}
		)


def load_key(environment: Mapping[str, str] = os.environ) -> str | None:
	"""The key file that GOOGLE_APPLICATION_CREDENTIALS names, or None where it names none."""
	name = environment.get(KEY_VARIABLE)
	if not name:
		return None
	try:
		with Path(name).open(encoding="utf-8") as file:
			text = file.read(KEY_SIZE_LIMIT + 1)
	except (OSError, ValueError) as error:
		why = getattr(error, "strerror", None) or "it is not text"
		raise _unusable(why) from None
	return text


def read_key(text: str) -> dict[str, str]:
	"""The fields needed of a service account's key; another kind of credentials is refused."""
	try:
		data = json.loads(text) if len(text) <= KEY_SIZE_LIMIT else None
	except (ValueError, RecursionError):
		data = None
	if not isinstance(data, dict) or data.get("type") != "service_account":
		raise _unusable("it is not the JSON key of a service account")
	fields = ("client_email", "private_key", "private_key_id", "token_uri")
	if not all(isinstance(data.get(field), str) and data[field] for field in fields):
		raise _unusable(f"one of {', '.join(fields)} is missing")
	parts = urlsplit(data["token_uri"])
	try:
		endpoint(f"{parts.scheme}://{parts.netloc}")
	except ValueError as error:
		raise _unusable(f"token_uri: {error}") from None
	return {field: data[field] for field in fields}


def sign_claims(key: Mapping[str, str], now: int) -> str:
	"""The assertion: who asks for which scope, signed with the account's key (RS256). `now` in seconds."""
	claims = {
		"iss": key["client_email"],
		"scope": SCOPE,
		"aud": key["token_uri"],
		"iat": now,
		"exp": now + LIFETIME_SECONDS,
	}
	try:
		return jwt.encode(crypt.RSASigner.from_service_account_info(key), claims).decode()
	except Exception:
		# Its own message may quote from the key.
		raise _unusable("private_key is not an RSA key without a passphrase") from None


def _unusable(why: str) -> ProviderTrouble:
	return ProviderTrouble(
		"Reading",
		f"the service account's key ({KEY_VARIABLE} or Deployment Settings)",
		why,
		"create a JSON key for a service account at Google Cloud and name it there",
		refused=True,
	)
