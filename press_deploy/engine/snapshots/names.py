"""What the snapshot of a run is called and tagged at each provider.

Invariant: the same run and volume give the same name in every process, and another run or volume another one;
whatever a provider does not allow is replaced, and then a hash keeps two different values apart.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping

from press_deploy.engine.ground import inputs

RUN_TAG, PLAN_TAG = "press-deploy-run", "press-deploy-plan"
# Google Cloud allows 63 characters of lower case letters, digits and dashes, the others allow more.
_NAME_LIMIT, _LABEL_LIMIT, _TAG_LIMIT = 63, 63, 255
_HASH_LENGTH = 8


def name_snapshot(run: str, volume: str) -> str:
	"""A name that RFC 1035 allows, made of the run and a hash of run and volume."""
	inputs.run_name(run)
	ending = "-" + _hash(f"{run}\0{volume}")
	return f"press-deploy-{run}"[: _NAME_LIMIT - len(ending)].rstrip("-") + ending


def aws_tags(tags: Mapping[str, str], name: str) -> list[dict[str, str]]:
	"""Tags of EC2: values of at most 256 letters, digits, spaces and `+ - = . _ : / @`."""
	values = {
		"Name": name,
		RUN_TAG: tags["run"],
		PLAN_TAG: _clean(tags.get("plan", ""), r"[^\w +=.:/@-]", _TAG_LIMIT),
	}
	return [{"Key": key, "Value": value} for key, value in values.items() if value]


def gcp_labels(tags: Mapping[str, str]) -> dict[str, str]:
	"""Labels of Google Cloud: values of at most 63 lower case letters, digits, `_` and `-`."""
	cleaned = {
		key: _clean(tags.get(key, ""), r"[^a-z0-9_-]", _LABEL_LIMIT, lower=True) for key in ("run", "plan")
	}
	return {key: value for key, value in ((RUN_TAG, cleaned["run"]), (PLAN_TAG, cleaned["plan"])) if value}


def digitalocean_tags(tags: Mapping[str, str]) -> list[str]:
	"""Tags of DigitalOcean: at most 255 letters, digits, `:`, `-` and `_` each."""
	limit = _TAG_LIMIT - len(PLAN_TAG) - 1
	cleaned = {key: _clean(tags.get(key, ""), r"[^A-Za-z0-9:_-]", limit) for key in ("run", "plan")}
	pairs = ((RUN_TAG, cleaned["run"]), (PLAN_TAG, cleaned["plan"]))
	return [f"{tag}:{value}" for tag, value in pairs if value]


def _clean(value: str, forbidden: str, limit: int, *, lower: bool = False) -> str:
	"""The value where it is allowed as it is, else what can be kept of it and its hash."""
	plain = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
	cleaned = re.sub(f"({forbidden})+", "-", plain.lower() if lower else plain).strip("-_ ")
	if cleaned == value and len(value) <= limit:
		return value
	return f"{cleaned[: limit - _HASH_LENGTH - 1]}-{_hash(value)}".lstrip("-") if value else ""


def _hash(value: str) -> str:
	return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]
