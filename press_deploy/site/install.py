"""What this app puts on a site besides its DocTypes, and takes away again: roles, and the plan Press v16.

Invariant: installing twice adds nothing, and what people changed in between stays as it is. Installing never fails
half-way: Frappe counts an app as installed before it asks for these things. What can't be added is said, and the
next migrate adds it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import frappe

from press_deploy.site.caches import forget_modules

ROLES = ("Deployment Manager", "Deployment Viewer")
READY_MADE = Path(__file__).with_name("press_v16.json")


# Where a site keeps which of the parts below it has.
COMPLETED = "press_deploy_completed"


def before_install() -> None:
	"""Let Frappe find the modules of this app: on a bench at work it remembers those of before."""
	forget_modules()


def after_install() -> None:
	_complete(())
	forget_modules()


def after_sync() -> None:
	"""The last that Frappe calls: whoever looked at the site meanwhile may have seen it without the app."""
	frappe.db.commit()
	forget_modules()


def after_migrate() -> None:
	"""Add what an installation could not add. What people have removed since does not come back."""
	_complete(_read_completed())


def _complete(completed: tuple[str, ...]) -> None:
	added = [name for name, add in PARTS.items() if name not in completed and _attempt(name, add)]
	if added:
		frappe.db.set_global(COMPLETED, json.dumps([*completed, *added]))


def _read_completed() -> tuple[str, ...]:
	if noted := frappe.db.get_global(COMPLETED):
		return tuple(json.loads(noted))
	# Earlier versions noted nothing: they added both parts, or failed and had neither.
	return tuple(PARTS) if frappe.db.exists("Role", ROLES[0]) else ()


def _attempt(name: str, add: Callable[[], None]) -> bool:
	"""Add one part wholly or not at all; say why when it can't be."""
	frappe.db.savepoint("press_deploy_part")
	try:
		add()
		return True
	except Exception as error:
		frappe.db.rollback(save_point="press_deploy_part")
		frappe.clear_messages()
		why = frappe.utils.strip_html(str(error)) or type(error).__name__
		click.secho(
			f"press_deploy: adding {name} to {frappe.local.site} failed: {why}\n"
			f"  → the app works without; to add it later: bench --site {frappe.local.site} migrate",
			fg="yellow",
		)
		return False


def before_uninstall() -> None:
	"""Remove what does not go with the module: roles and who has them, scheduled jobs, settings and their secrets."""
	for doctype in ("Has Role", "Custom DocPerm", "DocPerm"):
		frappe.db.delete(doctype, {"role": ("in", ROLES)})
	for role in ROLES:
		frappe.delete_doc("Role", role, ignore_missing=True, force=True, delete_permanently=True)
	for job in frappe.get_all("Scheduled Job Type", {"method": ("like", "press_deploy.%")}, pluck="name"):
		frappe.db.delete("Scheduled Job Log", {"scheduled_job_type": job})
		frappe.delete_doc("Scheduled Job Type", job, force=True, delete_permanently=True)
	doctypes = frappe.get_all("DocType", {"module": "Press Deploy"}, pluck="name")
	frappe.db.delete("Version", {"ref_doctype": ("in", doctypes)})
	frappe.db.delete("Comment", {"reference_doctype": ("in", doctypes)})
	frappe.db.delete("DefaultValue", {"defkey": COMPLETED})
	frappe.db.delete("Singles", {"doctype": "Deployment Settings"})
	frappe.db.delete("__Auth", {"doctype": "Deployment Settings"})


def after_uninstall() -> None:
	"""Let nobody look for the app any more: some other app may keep the list of apps from being cleared."""
	frappe.db.commit()
	forget_modules()


def add_roles() -> None:
	for role in ROLES:
		if not frappe.db.exists("Role", role):
			frappe.get_doc({"doctype": "Role", "role_name": role, "desk_access": 1}).insert(
				ignore_permissions=True
			)


def add_ready_made_plan() -> None:
	"""The runbook of Press v16 as a draft for this site, with its three smoke tests."""
	content = json.loads(READY_MADE.read_text())
	for test in content["smoke_tests"]:
		if not frappe.db.exists("Smoke Test", test["title"]):
			_insert_ready_made({"doctype": "Smoke Test", **test})
	if not frappe.db.exists("Deployment Plan", content["plan"]["title"]):
		plan = {"doctype": "Deployment Plan", **content["plan"], "sites": [{"site": frappe.local.site}]}
		_insert_ready_made(plan)


def _insert_ready_made(values: dict) -> None:
	document = frappe.get_doc(values)
	# It holds a console test, which nobody can run before the shell user allows it; it says so itself.
	document.flags.is_ready_made = True
	document.insert(ignore_permissions=True)


PARTS: dict[str, Callable[[], None]] = {"its roles": add_roles, "the plan Press v16": add_ready_made_plan}
