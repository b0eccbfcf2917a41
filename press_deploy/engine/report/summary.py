"""A run in one piece of plain data: for `status --json`, the report and the records in Desk.

Invariant: derived from the run's directory and the bench as they are now; nothing is remembered.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.git import Repository
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.journal.lock import is_alive, read_owner
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState, StepState, load_state
from press_deploy.engine.watching.probes import downtime_seconds, find_outages, read_probes


def summarise(bench: Bench, run: RunDirectory) -> dict[str, Any]:
	"""What is known of a run. Raises `JournalDamaged`, `InputError`.

	Keys: run, title, state, verdict, phase, started, ended, reason, error, waiting, rollback, losses, dry_run, resumes,
	alive, steps[] (name, phase, title, status, started, ended, found, error), checks[], verdicts[], triggers[],
	notes[], requests[], downtime_seconds, outages[], apps[] (name, before, wanted, now), directory,
	report (path, or None), keeps_databases[] (sites).
	"""
	plan, state = run.read_names(), load_state(run)
	outages = find_outages(read_probes(run.probes))
	return {
		"run": run.name,
		"title": plan.title,
		"bench": str(bench.path),
		"sites": plan.sites,
		"closed": state.is_closed and bool(_closed_sites(bench, plan.sites)),
		"state": state.state.value,
		"verdict": state.verdict,
		"phase": state.phase,
		"started": state.started,
		"ended": state.ended,
		"reason": state.reason or (state.waiting or {}).get("reason", ""),
		"error": state.error or (state.rollback or {}).get("error"),
		"waiting": state.waiting,
		"rollback": state.rollback,
		"losses": state.losses,
		"dry_run": state.dry_run,
		"resumes": state.resumes,
		"alive": is_owned_by(bench, run.name),
		"steps": [_describe_step(step) for step in state.steps.values()],
		"earlier_rollbacks": [_describe_step(step) for step in state.earlier_rollbacks],
		"checks": state.checks,
		"verdicts": state.verdicts,
		"triggers": state.triggers,
		"notes": state.notes,
		"requests": state.requests,
		"downtime_seconds": downtime_seconds(outages),
		"outages": [asdict(outage) for outage in outages],
		"apps": [_describe_app(bench, name, state) for name in plan.apps],
		"directory": str(run.path),
		"report": str(run.report_html) if run.report_html.is_file() else None,
		"keeps_databases": run.noted_sites,
		"last_seq": state.last_seq,
	}


def _closed_sites(bench: Bench, sites: list[str]) -> list[str]:
	try:
		return bench.sites_in_maintenance(sites)
	except DeployError:
		# A configuration that can't be read is none that opens a site.
		return sites


def is_owned_by(bench: Bench, run: str) -> bool:
	"""Whether a living process executes this run."""
	owner = read_owner(bench.deployments)
	return owner is not None and owner.run == run and is_alive(bench.deployments)


def _describe_step(step: StepState) -> dict[str, Any]:
	return {
		"name": step.name,
		"phase": step.phase,
		"title": step.title,
		"status": step.status,
		"started": step.started,
		"ended": step.ended,
		"found": step.found,
		"error": step.error,
	}


def _describe_app(bench: Bench, name: str, state: RunState) -> dict[str, Any]:
	"""Commits of an app: before the run, wanted by it, and now; None where there is none."""
	was = state.before("switch-code").get("git", {}).get(name, {}).get("commit")
	wanted = state.result("fetch-code").get("targets", {}).get(name, {}).get("commit")
	# A dry run fetches nothing, but has asked.
	wanted = wanted or state.targets.get(name)
	try:
		now = Repository(bench.app(name), Programs()).position().commit
	except DeployError:
		now = None
	return {
		"name": name,
		"before": was or (now if not state.was_announced("switch-code") else None),
		"wanted": wanted,
		"now": now,
	}
