"""What this app puts on a site besides its DocTypes, and takes away again: roles, and the plan Press v16.

Invariant: installing twice adds nothing, and what people changed in between stays as it is.
"""

from __future__ import annotations

import json
from pathlib import Path

import frappe

ROLES = ("Deployment Manager", "Deployment Viewer")
READY_MADE = Path(__file__).with_name("press_v16.json")


def after_install() -> None:
	add_roles()
	add_ready_made_plan()


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
	frappe.db.delete("Singles", {"doctype": "Deployment Settings"})
	frappe.db.delete("__Auth", {"doctype": "Deployment Settings"})


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
			frappe.get_doc({"doctype": "Smoke Test", **test}).insert(ignore_permissions=True)
	if not frappe.db.exists("Deployment Plan", content["plan"]["title"]):
		plan = {"doctype": "Deployment Plan", **content["plan"], "sites": [{"site": frappe.local.site}]}
		frappe.get_doc(plan).insert(ignore_permissions=True)
