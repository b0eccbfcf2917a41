"""A run in the foreground of a terminal, for `bench execute press_deploy.run` and `bench press-deploy run`.

Invariant: while the runner works this process holds no connection to the database that is being deployed.
"""

from __future__ import annotations

import subprocess

import click
import frappe

from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.plan.spec import PlanSpec
from press_deploy.site import runners
from press_deploy.site.proofs import prove_newest

FAILED, BAD_USAGE = 1, 2


def run_plan(plan: str | None = None, dry_run: bool = False) -> int:
	"""Execute a plan, or the only approved one, and return the exit code of the run."""
	try:
		spec = _find_spec(plan, dry_run)
		run = runners.create_run(spec, dry_run)
	except (DeployError, frappe.ValidationError, frappe.DoesNotExistError) as error:
		click.echo(frappe.utils.strip_html(str(error)), err=True)
		return BAD_USAGE
	return run_command("resume", run.name, *(["--dry-run"] if dry_run else []))


def run_command(command: str, *arguments: str) -> int:
	"""Run `press-deploy COMMAND` for this bench and wait for it; return its exit code."""
	bench = runners.open_bench()
	if frappe.db:
		frappe.db.commit()
		frappe.db.close()
	return subprocess.run(runners.command_line(bench, command, *arguments)).returncode


def run_without_bench(command: str, *arguments: str) -> int:
	"""Run `press-deploy COMMAND`, one that knows no bench, and wait for it; return its exit code."""
	bench = runners.open_bench()
	return subprocess.run([bench.python, "-m", "press_deploy.cli", command, *arguments]).returncode


def prove_site() -> int:
	"""Prove the newest backup of this site; return 0 when it passed."""
	# An open transaction would keep tables from being renamed for as long as this takes.
	frappe.db.commit()
	try:
		proof = prove_newest(runners.open_bench(), click.echo)
	except DeployError as error:
		click.echo(str(error), err=True)
		return FAILED
	click.echo(f"{proof.backup}: restored and compared")
	return 0


def _find_spec(name: str | None, dry_run: bool) -> PlanSpec:
	document = frappe.get_doc("Deployment Plan", name or _the_only_approved_plan())
	return document.read_spec() if dry_run else document.read_spec_to_start()


def _the_only_approved_plan() -> str:
	plans = frappe.get_all(
		"Deployment Plan", {"docstatus": 1, "status": "Approved"}, pluck="name", order_by="name"
	)
	if len(plans) == 1:
		return plans[0]
	if not plans:
		raise frappe.ValidationError("No plan is approved. Submit one in Desk, then run this again.")
	names = "\n".join(f"  {plan}" for plan in plans)
	raise frappe.ValidationError(
		f"Several plans are approved:\n{names}\nName one: bench --site {frappe.local.site} "
		f"execute press_deploy.run --kwargs \"{{'plan': '{plans[0]}'}}\""
	)
