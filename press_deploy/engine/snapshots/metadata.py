"""What an instance knows about itself: the metadata service of the three providers.

Invariant: it is asked directly, never through a proxy, with short timeouts; what it says is checked before it
becomes part of a request. A machine without such a service is told so in words, it is not an outage.

Sources: Amazon EC2 user guide, "Use the Instance Metadata Service" (version 2 only); Google Cloud, "About VM
metadata"; DigitalOcean, "Droplet Metadata API".
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import requests

from press_deploy.engine.snapshots.base import ProviderTrouble
from press_deploy.engine.snapshots.rest import read_body

TIMEOUT_SECONDS = 2.0
TOKEN_LIFETIME_SECONDS = 300
ADDRESSES = {
	"aws": "http://169.254.169.254",
	"gcp": "http://metadata.google.internal",
	"digitalocean": "http://169.254.169.254",
}
_GOOGLE = {"Metadata-Flavor": "Google"}


class InstanceMetadata:
	"""The metadata of this machine, if it is an instance at `provider`. All raise `ProviderTrouble`."""

	def __init__(self, provider: str, address: str | None = None):
		self._provider = provider
		self.address = address or ADDRESSES[provider]

	def read_aws(self, path: str, pattern: str) -> str:
		"""A value below /latest/meta-data/, by version 2 of the service: first a token, then the question."""
		lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_LIFETIME_SECONDS)}
		token = self._ask("PUT", "/latest/api/token", lifetime, r"[\x21-\x7e]{1,1000}")
		return self._ask("GET", f"/latest/meta-data/{path}", {"X-aws-ec2-metadata-token": token}, pattern)

	def read_gcp(self, path: str, pattern: str) -> str:
		"""A value below /computeMetadata/v1/."""
		return self._ask("GET", f"/computeMetadata/v1/{path}", _GOOGLE, pattern)

	def read_digitalocean(self, path: str, pattern: str) -> str:
		"""A value below /metadata/v1/."""
		return self._ask("GET", f"/metadata/v1/{path}", {}, pattern)

	def _ask(self, method: str, path: str, headers: Mapping[str, str], pattern: str) -> str:
		try:
			with requests.Session() as session:
				session.trust_env = False
				with session.request(
					method,
					self.address + path,
					headers=dict(headers),
					timeout=TIMEOUT_SECONDS,
					allow_redirects=False,
					stream=True,
				) as response:
					text = read_body(response, time.monotonic() + 2 * TIMEOUT_SECONDS).strip()
		except (requests.RequestException, OSError, ValueError) as error:
			raise self._trouble(path, f"there was no answer ({type(error).__name__})", refused=True) from None
		status = response.status_code
		if status != 200:
			passing = status >= 500 or status == 429
			raise self._trouble(path, f"it answered {status}", refused=not passing)
		if headers is _GOOGLE and response.headers.get("Metadata-Flavor") != "Google":
			raise self._trouble(path, "the answer does not come from Google's service", refused=True)
		if not re.fullmatch(pattern, text, re.DOTALL):
			raise self._trouble(path, "the answer does not look like what was asked for", refused=True)
		return text

	def _trouble(self, path: str, why: str, *, refused: bool) -> ProviderTrouble:
		return ProviderTrouble(
			"Asking",
			f"the instance metadata ({path})",
			why,
			f"see whether this machine is an instance at {self._provider}; else name volume (and region, or project "
			"and zone) in the plan and give credentials",
			refused=refused,
		)
