"""Credentials that Deployment Settings hold for the object store and the cloud provider.

Invariant: they leave Frappe's encrypted store for the one who asks, and for no record, cache or log.
"""

from __future__ import annotations

import frappe

_AWS_KEYS = ("access_key_id", "secret_access_key", "session_token")
# What a place or provider calls a secret, and the part of the settings in which it stands.
_PARTS = {
	"object_store": _AWS_KEYS,
	"snapshot": (*_AWS_KEYS, "service_account_key", "token"),
}


def read_settings_secrets() -> dict[str, dict[str, str]]:
	"""Return {"object_store": {…}, "snapshot": {…}} with those that are set.

	Object store: access_key_id, secret_access_key, session_token. Snapshot: the same for AWS, and
	service_account_key (Google Cloud), token (DigitalOcean).
	"""
	settings = frappe.get_single("Deployment Settings")
	found = {}
	for part, names in _PARTS.items():
		values = {name: settings.get_password(f"{part}_{name}", raise_exception=False) for name in names}
		found[part] = {name: value for name, value in values.items() if value}
	if settings.snapshot_uses_object_store_keys:
		others = {name: value for name, value in found["snapshot"].items() if name not in _AWS_KEYS}
		found["snapshot"] = {**others, **found["object_store"]}
	return found
