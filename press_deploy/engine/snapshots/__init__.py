"""Snapshots of the server's volume at its cloud provider (runbook 1.2): asked for, then polled to the end.

Invariant: a provider that is not in the table does not exist; credentials come from the provider's usual places
or from Deployment Settings, as the plan says, never from the plan.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module

from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.plan.snapshots import Snapshot
from press_deploy.engine.snapshots.base import Provider

# Module and class of each. They bring libraries that take long to import, and few plans name one.
PROVIDERS = {"aws": ("aws", "Aws"), "gcp": ("gcp", "Gcp"), "digitalocean": ("digitalocean", "DigitalOcean")}
# What Deployment Settings has to hold for each.
CREDENTIALS = {
	"aws": ("access_key_id", "secret_access_key"),
	"gcp": ("service_account_key",),
	"digitalocean": ("token",),
}


def open_provider(spec: Snapshot, credentials: Mapping[str, str] | None = None) -> Provider:
	"""The provider of a plan's snapshot; nothing is asked of it yet.

	`credentials` are those of Deployment Settings, by the names in `CREDENTIALS` (AWS: perhaps session_token
	too); they are used only where the plan says "settings". Raises `InputError` when one is missing.
	"""
	if spec.credentials == "default":
		return _load(spec.provider)(spec, None)
	given = credentials or {}
	for name in CREDENTIALS[spec.provider]:
		value = given.get(name)
		if not isinstance(value, str) or not value.strip():
			why = f"Deployment Settings hold no {name} for {spec.provider}"
			raise InputError(
				"credentials", spec.credentials, why, "enter it there, or use default credentials"
			)
		# A line break would end the header that carries it; a key in JSON has line breaks of its own.
		if name != "service_account_key" and not re.fullmatch(r"[\x21-\x7e]{1,1000}", value):
			why = f"the {name} in Deployment Settings holds what none holds"
			raise InputError("credentials", spec.credentials, why, "enter it there again")
	return _load(spec.provider)(spec, dict(given))


def _load(provider: str) -> Callable[[Snapshot, dict[str, str] | None], Provider]:
	module, name = PROVIDERS[provider]
	return getattr(import_module(f"{__name__}.{module}"), name)
