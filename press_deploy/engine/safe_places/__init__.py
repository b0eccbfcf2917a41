"""Safe places: where copies of a backup are kept, away from the bench.

Invariant: each kind that a plan may name has exactly one class here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.plan.safe_places import DirectoryPlace, S3Place, SshPlace
from press_deploy.engine.safe_places.base import SafePlace
from press_deploy.engine.safe_places.directory import DirectorySafePlace
from press_deploy.engine.safe_places.ssh import SshSafePlace

_Credentials = Mapping[str, str] | None


def _open_store(spec: S3Place, bench_path: Path, programs: Programs, credentials: _Credentials) -> SafePlace:
	# Its library takes long to import, and few plans name one.
	from press_deploy.engine.safe_places.object_store import ObjectStore

	return ObjectStore(spec, credentials)


_OPENERS: dict[str, Callable[..., SafePlace]] = {
	"directory": lambda spec, bench_path, programs, credentials: DirectorySafePlace(spec, bench_path),
	"s3": _open_store,
	"ssh": lambda spec, bench_path, programs, credentials: SshSafePlace(spec, programs),
}


def open_place(
	spec: DirectoryPlace | S3Place | SshPlace,
	bench_path: Path,
	programs: Programs,
	credentials: _Credentials = None,
) -> SafePlace:
	"""The safe place that a plan names; nothing is asked of it yet.

	`credentials` are Deployment Settings' for an object store: access_key_id, secret_access_key and perhaps
	session_token; used only where the plan says so. Raises `InputError` when the plan says so and they are
	missing, `StepFailed` when the plan's profile is.
	"""
	return _OPENERS[spec.kind](spec, bench_path, programs, credentials)
