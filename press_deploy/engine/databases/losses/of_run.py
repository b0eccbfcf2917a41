"""What rolling one run's databases back would lose, or has lost: all its sites together.

Invariant: the hash of the whole is over what every site's list shows, so that an approval is for all of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.losses.finding import find_losses
from press_deploy.engine.databases.losses.model import Losses
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.standby.finding import find_standby
from press_deploy.engine.ground.canonical import canonical_json
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.journal.run_directory import RunDirectory


def list_losses(bench: Bench, run: RunDirectory) -> dict[str, Any]:
	"""What rolling the databases of a run back now would lose; see `describe_all`. Changes nothing.

	Raises `Refused` where there is no standby to compare with, and `StepFailed`.
	"""
	standbys = {
		site: find_standby(bench, site, run.name, run.private / "standby" / site)
		for site in run.read_plan().site_names
	}
	return describe_all(find_all(standbys))


def find_all(standbys: Mapping[str, StandbyDatabase | None]) -> dict[str, Losses]:
	"""Per site what is in the live database and not in its standby. Raises as `list_losses`."""
	return {site: _find(site, standby) for site, standby in standbys.items()}


def describe_all(losses: Mapping[str, Losses]) -> dict[str, Any]:
	"""{"sites": {site: `Losses.as_data`}, "sha256", "total", "summary": one line, "lines": [for a terminal],
	"not_listed": [one line for each site where there is something]}. The last is in no SHA-256.
	"""
	lines = [f"{site}: {line}" for site, each in losses.items() for line in each.lines()]
	return {
		"sites": {site: each.as_data() for site, each in losses.items()},
		"sha256": hash_all(losses),
		"total": sum(each.total for each in losses.values()),
		"summary": "; ".join(f"{site}: {each.describe()}" for site, each in losses.items()),
		"lines": lines,
		"not_listed": [f"{site}: {line}" for site, each in losses.items() if (line := each.describe_noise())],
	}


def hash_all(losses: Mapping[str, Losses]) -> str:
	"""One SHA-256 for the lists of all sites."""
	return hashlib.sha256(
		canonical_json({site: each.sha256 for site, each in losses.items()}).encode()
	).hexdigest()


def _find(site: str, standby: StandbyDatabase | None) -> Losses:
	if standby is not None and standby.is_swap_begun():
		raise Refused(
			"Listing what would be lost on",
			site,
			"its database was swapped with the standby already, or a swap is under way",
			"what was lost is in the run's directory, in losses/; a rollback that stopped is completed by: press-deploy rollback RUN",
		)
	if standby is None or not standby.is_loaded():
		raise Refused(
			"Listing what would be lost on",
			site,
			"there is no standby database of this run to compare with",
			"make it again: press-deploy standby --load RUN; without one, restore a backup by hand (press-deploy backup --list)",
		)
	with standby.open_comparison() as reader:
		return find_losses(reader, standby.name, standby.live)
