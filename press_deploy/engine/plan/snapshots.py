"""What a plan says about the cloud snapshot: which provider, of what, for how long it is waited for.

Invariant: what passes may stand in the path of a request as it is, belongs to the provider named, and holds
no secret; a field that this provider does not know is refused, never ignored.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from press_deploy.engine.ground import inputs
from press_deploy.engine.plan.fields import Frozen

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]{2,12}){1,3}-[0-9]{1,2}\Z")
_ZONE = re.compile(r"[a-z]{2,20}-[a-z]{2,20}[0-9]{1,2}-[a-z][a-z0-9]{0,7}\Z")
# An older project may belong to a domain: example.com:project.
_PROJECT = re.compile(r"([a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?:)?[a-z][a-z0-9-]{4,28}[a-z0-9]\Z")

VOLUMES = {
	"aws": (re.compile(r"vol-([0-9a-f]{8}|[0-9a-f]{17})\Z"), "an EBS volume such as vol-0123456789abcdef0"),
	"gcp": (re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?\Z"), "the name of a disk, without project and zone"),
	"volume": (
		re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z"),
		"the UUID of a volume, in lower case, as doctl compute volume list shows it",
	),
	"droplet": (re.compile(r"[1-9][0-9]{0,15}\Z"), "the number of a droplet"),
}
# Which provider knows which field.
_ONLY_FOR = {"region": "aws", "profile": "aws", "zone": "gcp", "project": "gcp", "resource": "digitalocean"}


def region_name(value: str) -> str:
	return inputs.matching(_REGION, value, "a region of AWS such as eu-west-3")


def zone_name(value: str) -> str:
	return inputs.matching(_ZONE, value, "a zone of Google Cloud such as europe-west9-a")


def project_id(value: str) -> str:
	return inputs.matching(_PROJECT, value, "the id of a project of Google Cloud", ("..",))


def endpoint(value: str) -> str:
	"""Scheme, host and port. In clear only to a private address: a token travels with each request."""
	inputs.base_url(value)
	parts = urlsplit(value)
	if parts.scheme == "http" and not _is_private(parts.hostname or ""):
		raise ValueError("it would send credentials in clear over a public network; write https://HOST")
	return value.rstrip("/")


def volume_id(value: str, kind: str) -> str:
	"""The id of what is to be snapshot; `kind` is a key of `VOLUMES`."""
	pattern, wanted = VOLUMES[kind]
	return inputs.matching(pattern, value, wanted)


class Snapshot(Frozen):
	"""A snapshot of the server's volume at its provider. `volume` None: found from the instance's metadata.

	`credentials` "default" takes them from where the provider's own tools do (environment, profile, instance
	role, key file), "settings" from Deployment Settings. `timeout_seconds` is how long "completed" is waited
	for; `when_failed` says whether the run may go on without the snapshot.
	"""

	provider: Literal["aws", "gcp", "digitalocean"]
	volume: Annotated[str, Field(max_length=100)] | None = None
	resource: Literal["volume", "droplet"] | None = None
	region: Annotated[str, AfterValidator(region_name)] | None = None
	zone: Annotated[str, AfterValidator(zone_name)] | None = None
	project: Annotated[str, AfterValidator(project_id)] | None = None
	profile: Annotated[str, AfterValidator(inputs.profile_name)] | None = None
	timeout_seconds: Annotated[int, Field(ge=10, le=86_400)] = 3600
	poll_seconds: Annotated[int, Field(ge=1, le=300)] = 15
	when_failed: Literal["block", "warn"] = "block"
	credentials: Literal["default", "settings"] = "default"
	endpoint_url: Annotated[str, AfterValidator(endpoint)] | None = None
	metadata_url: Annotated[str, AfterValidator(endpoint)] | None = None

	@model_validator(mode="after")
	def _fits_its_provider(self) -> Snapshot:
		for field, provider in _ONLY_FOR.items():
			if getattr(self, field) is not None and provider != self.provider:
				raise ValueError(f"{field} is for {provider} only; take it out")
		if self.profile and self.credentials == "settings":
			raise ValueError("profile and credentials from the settings exclude each other; keep one")
		if self.volume is not None:
			try:
				volume_id(self.volume, self.kind)
			except ValueError as error:
				raise ValueError(f"volume: {error}") from None
		if self.poll_seconds > self.timeout_seconds:
			raise ValueError("poll_seconds is longer than timeout_seconds; ask more often or wait longer")
		return self

	@property
	def kind(self) -> str:
		"""What is snapshot, as a key of `VOLUMES`."""
		return self.resource or "volume" if self.provider == "digitalocean" else self.provider


def _is_private(host: str) -> bool:
	try:
		address = ipaddress.ip_address(host)
	except ValueError:
		return host in ("localhost", "metadata.google.internal")
	return address.is_private or address.is_loopback or address.is_link_local
