"""Is the way back ready: safe places, standby databases, the cloud's snapshot, and the rung that is required."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from press_deploy.engine.backup.rungs import Rung
from press_deploy.engine.databases.credentials import WHERE_NAMED
from press_deploy.engine.databases.dumps.method import Method
from press_deploy.engine.databases.engines import engine_of
from press_deploy.engine.databases.standby.base import Obstacle, hinder
from press_deploy.engine.databases.standby.finding import find_standbys
from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.ground.checks import WARNING, Check, fail, ok, warn
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.preflight.engines import list_sites_with_engine
from press_deploy.engine.steps.preflight.machine import size_of
from press_deploy.engine.steps.preflight.sites import reach_database
from press_deploy.engine.steps.run import Run


@dataclass(frozen=True)
class WithoutStandby(Check):
	"""Preflight's choice to have none for a site; its result keeps it, so that a resumed run is bound by it."""

	site: str = ""


def check_safe_places(run: Run, ports: Ports) -> Iterator[Check]:
	places = run.spec.backup.places
	if not places:
		yield warn(
			"Safe place",
			"the plan names none: the backup stays on this disk",
			"name a safe place in the plan",
		)
	size = sum(size_of(run, ports, site) for site in run.spec.site_names if site in run.bench.sites())
	for spec in places:
		try:
			yield from ports.copies.safe_place(spec).check(size)
		except DeployError as error:
			yield fail("Safe place", error.why, error.remedy)


def check_proof(run: Run, ports: Ports) -> Iterator[Check]:
	"""Whether the rung that is required can be reached at all, on every site."""
	lowest, highest = _rungs(run)
	if highest >= Rung.SAFE and not run.spec.backup.places:
		found = f"rung {lowest:d} of the backup is required before the window opens, and rung 3 is a copy off this disk"
		remedy = "name a safe place in the plan, or set the required rung to 2 (whole, on this disk)"
		yield fail("Proof of the backup", found, remedy)
	else:
		meant = (
			f"{lowest:d}" if lowest == highest else f"{highest:d} if the release migrates, else {lowest:d}"
		)
		yield ok("Proof of the backup", f"rung {meant} is required before the window opens")
	for site in list_sites_with_engine(run):
		yield from _check_site(run, ports, site, highest >= Rung.RESTORABLE)


def check_snapshot(run: Run, ports: Ports) -> Iterator[Check]:
	spec = run.spec.backup.snapshot
	if spec is None:
		return
	try:
		yield from ports.copies.provider(spec).check()
	except DeployError as error:
		say = fail if spec.when_failed == "block" else warn
		yield say("Cloud snapshot", error.why, error.remedy)


def _rungs(run: Run) -> tuple[Rung, Rung]:
	"""The rung required of a plan that does not migrate, and of one that does; the same where that is decided."""
	migrate, backup = run.spec.migrate, run.spec.backup
	return Rung(backup.rung_before_window(migrate == "always")), Rung(
		backup.rung_before_window(migrate != "never")
	)


def _check_site(run: Run, ports: Ports, site: str, wants_standby: bool) -> Iterator[Check]:
	config = run.bench.read_config(site)
	name, dumping = f"Backup: {site}", engine_of(config.get("db_type")).dumping
	try:
		size = ports.databases.sites[site].size_bytes()
		method = dumping.choose_method(run.spec.backup.method, config, size)
		yield ok(name, f"method {method.name}: {method.reason}")
		yield from _check_objects(site, method, config)
	except DeployError as error:
		yield fail(name, error.why, error.remedy)
	except DatabaseUnavailable as error:
		yield fail(name, f"its database can't be reached: {error}", reach_database(run, site))
		return
	if wants_standby:
		yield from _check_standby(run, ports, site)


def _check_objects(site: str, method: Method, config: dict[str, Any]) -> Iterator[Check]:
	"""Can all of the database be read: views, triggers, routines and events that somebody else made, too."""
	name = f"Objects of the database: {site}"
	try:
		if found := engine_of(config.get("db_type")).dumping.require_readable(method, config):
			yield ok(name, found)
	except DeployError as error:
		yield fail(name, error.why, error.remedy)


def _check_standby(run: Run, ports: Ports, site: str) -> Iterator[Check]:
	name = f"Standby database: {site}"
	try:
		# Not those of the port: which of them there are follows from what is found here.
		standby = find_standbys(run.bench, run.directory, [site])[site]
		checks = (
			standby.check(ports.databases.sites[site].size_bytes())
			if standby
			else [_miss_administrator(name)]
		)
		obstacles = [check for check in checks if isinstance(check, Obstacle)]
		yield from (check for check in checks if check not in obstacles)
		if obstacles:
			yield from _check_fallback(run, site, obstacles)
	except DeployError as error:
		yield fail(name, error.why, error.remedy)


def _check_fallback(run: Run, site: str, obstacles: list[Obstacle]) -> Iterator[Check]:
	"""Without a standby: the backup is proven on a private server, and the site's own user would import it.

	The room for that server is a part of what `check_disk` asks for.
	"""
	why, other = _find_why_not(run, site)
	for each in obstacles:
		if why:
			yield fail(each.name, f"{each.found}; {why}", f"{each.remedy}, or {other}")
			continue
		found = (
			f"{each.found}, so there will be none: the backup is proven on a private server, and a rollback "
			"imports it, which takes its time; once the sites are open again, a person has to do that by hand"
		)
		yield WithoutStandby(each.name, WARNING, found, f"for a rollback in seconds: {each.remedy}", site)


def _find_why_not(run: Run, site: str) -> tuple[str | None, str]:
	"""Why a site can't go without a standby, and what else may be done about it."""
	if run.spec.backup.required_rung == Rung.BOOTABLE:
		return "rung 5 starts the site on its standby database", "require rung 4 only"
	config = run.bench.read_config(site)
	engine = engine_of(config.get("db_type"))
	if missing := engine.proving.find_missing_program():
		return f"without {missing} here the backup can't be proven in another way", "require rung 3 only"
	why = engine.loading.why_no_import(config)
	return why and f"it could not be imported either: {why}", "mend that"


def _miss_administrator(name: str) -> Obstacle:
	return hinder(name, "the database administrator is not named", f"name the administrator ({WHERE_NAMED})")
