# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""A plan: what to deploy where, with which checks and limits. Approved means submitted, and unchanged since."""

import frappe
from frappe import _
from frappe.model.document import Document
from frappe.utils import now_datetime

from press_deploy.engine.ground.errors import DeployError, InputError
from press_deploy.engine.plan.spec import PlanSpec, read_plan
from press_deploy.site.allowances import check_draft, describe_forbidden, refuse_forbidden
from press_deploy.site.input_messages import describe, errors_shown, refuse
from press_deploy.site.plan_references import check_references
from press_deploy.site.plan_spec import build_spec, compute_approval_hash, read_parts
from press_deploy.site.runners import open_bench


class DeploymentPlan(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		from press_deploy.press_deploy.doctype.deployment_plan_app.deployment_plan_app import (
			DeploymentPlanApp,
		)
		from press_deploy.press_deploy.doctype.deployment_plan_checklist_item.deployment_plan_checklist_item import (
			DeploymentPlanChecklistItem,
		)
		from press_deploy.press_deploy.doctype.deployment_plan_config_change.deployment_plan_config_change import (
			DeploymentPlanConfigChange,
		)
		from press_deploy.press_deploy.doctype.deployment_plan_critical_test.deployment_plan_critical_test import (
			DeploymentPlanCriticalTest,
		)
		from press_deploy.press_deploy.doctype.deployment_plan_file.deployment_plan_file import (
			DeploymentPlanFile,
		)
		from press_deploy.press_deploy.doctype.deployment_plan_milestone.deployment_plan_milestone import (
			DeploymentPlanMilestone,
		)
		from press_deploy.press_deploy.doctype.deployment_plan_person.deployment_plan_person import (
			DeploymentPlanPerson,
		)
		from press_deploy.press_deploy.doctype.deployment_plan_safe_place.deployment_plan_safe_place import (
			DeploymentPlanSafePlace,
		)
		from press_deploy.press_deploy.doctype.deployment_plan_site.deployment_plan_site import (
			DeploymentPlanSite,
		)
		from press_deploy.press_deploy.doctype.deployment_plan_smoke_test.deployment_plan_smoke_test import (
			DeploymentPlanSmokeTest,
		)

		amended_from: DF.Link | None
		approved_by: DF.Link | None
		approved_on: DF.Datetime | None
		apps: DF.Table[DeploymentPlanApp]
		backup_automatic_rollback: DF.Check
		backup_boot_check: DF.Code | None
		backup_config_secrets: DF.Literal["encrypt", "leave_out", "plain"]
		backup_method: DF.Literal["auto", "frappe", "stream", "physical"]
		backup_minimum_free_percent: DF.Percent
		backup_required_rung: DF.Literal["", "1 made", "2 whole", "3 safe", "4 restorable", "5 bootable"]
		backup_retention_days: DF.Int
		backup_safe_directory: DF.Data | None
		backup_safe_places: DF.Table[DeploymentPlanSafePlace]
		backup_with_files: DF.Check
		build: DF.Literal["auto", "always", "never"]
		checklist: DF.Table[DeploymentPlanChecklistItem]
		config: DF.Table[DeploymentPlanConfigChange]
		critical_tests: DF.Table[DeploymentPlanCriticalTest]
		decision_seconds: DF.Int
		drain_foreign_seconds: DF.Float
		drain_seconds: DF.Float
		drain_when_exceeded: DF.Literal["go_on", "wait"]
		files: DF.Table[DeploymentPlanFile]
		inconclusive: DF.Literal["ask", "roll_back"]
		migrate: DF.Literal["auto", "always", "never"]
		monitor_baseline_seconds: DF.Float
		monitor_interval_seconds: DF.Float
		monitor_minimum_samples: DF.Int
		monitor_path: DF.Data | None
		monitor_seconds: DF.Float
		notify: DF.SmallText | None
		objective: DF.SmallText | None
		people: DF.Table[DeploymentPlanPerson]
		production_test_consent: DF.Check
		requirements: DF.Literal["auto", "always", "never"]
		sites: DF.Table[DeploymentPlanSite]
		smoke_tests: DF.Table[DeploymentPlanSmokeTest]
		snapshot_credentials: DF.Literal["default", "settings"]
		snapshot_endpoint_url: DF.Data | None
		snapshot_metadata_url: DF.Data | None
		snapshot_poll_seconds: DF.Int
		snapshot_profile: DF.Data | None
		snapshot_project: DF.Data | None
		snapshot_provider: DF.Literal["", "aws", "gcp", "digitalocean"]
		snapshot_region: DF.Data | None
		snapshot_resource: DF.Literal["", "volume", "droplet"]
		snapshot_timeout_seconds: DF.Int
		snapshot_volume: DF.Data | None
		snapshot_when_failed: DF.Literal["block", "warn"]
		snapshot_zone: DF.Data | None
		spec_sha256: DF.Data | None
		stabilise_healthy_probes: DF.Int
		stabilise_seconds: DF.Float
		status: DF.Literal["Draft", "Approved", "Deployed", "Cancelled"]
		test_site: DF.Data | None
		thresholds_cpu_percent: DF.Percent
		thresholds_database_connections: DF.Int
		thresholds_error_rate_percent: DF.Percent
		thresholds_latency_degraded_percent: DF.Percent
		thresholds_latency_ms: DF.Float
		thresholds_memory_percent: DF.Percent
		thresholds_new_log_errors: DF.Int
		timeline: DF.Table[DeploymentPlanMilestone]
		title: DF.Data
		triggers_critical_tests: DF.Literal["roll_back", "ask"]
		triggers_error_rate: DF.Literal["roll_back", "ask"]
		triggers_latency: DF.Literal["roll_back", "ask"]
		triggers_log_errors: DF.Literal["roll_back", "ask"]
		window_end: DF.Datetime | None
		window_start: DF.Datetime | None
	# end: auto-generated types

	def onload(self):
		try:
			self.set_onload("forbidden", describe_forbidden(open_bench(), read_parts(self.as_spec()), self))
		except (DeployError, frappe.DoesNotExistError):
			# What is wrong with it is said when it is saved.
			self.set_onload("forbidden", [])

	def validate(self):
		self.note_who_ticked()
		try:
			self.read_spec()
		except InputError as error:
			if error.field != "plan" or self.docstatus.is_submitted():
				refuse(error, self)
			# Every field is good, only the whole isn't: a draft may be saved unfinished.
			frappe.msgprint(
				describe(error, self), title=_("Not Complete Yet"), indicator="orange", alert=True
			)
		if self.docstatus.is_draft() and not self.flags.is_ready_made:
			self.check_allowances()

	def check_allowances(self):
		"""Refuse to keep code that is not allowed, also in a plan that is not complete yet."""
		with errors_shown(self):
			bench = open_bench()
		try:
			parts = read_parts(self.as_spec())
		except InputError:
			return  # said already
		check_draft(bench, parts, self)

	def before_submit(self):
		self.approved_by, self.approved_on = frappe.session.user, now_datetime()
		with errors_shown(self):
			check_references(self.read_spec())
			refuse_forbidden(open_bench(), self.read_spec())
		self.spec_sha256 = compute_approval_hash(self.read_spec())
		self.status = "Approved"

	def before_update_after_submit(self):
		self.note_who_ticked()
		self.read_approved_spec()

	def on_cancel(self):
		self.db_set("status", "Cancelled")

	def as_spec(self) -> dict:
		"""The plan as plain data for `press_deploy.engine.plan.spec.read_plan`."""
		return build_spec(self)

	def read_spec(self) -> PlanSpec:
		"""The validated spec. Raises `InputError`."""
		return read_plan(self.as_spec())

	def read_approved_spec(self) -> PlanSpec:
		"""The validated spec of a plan that is approved and unchanged; else a message is thrown."""
		if not self.docstatus.is_submitted():
			frappe.throw(_("Plan {0} is not approved. Submit it first.").format(self.name))
		with errors_shown(self):
			spec = self.read_spec()
		if compute_approval_hash(spec) != self.spec_sha256:
			frappe.throw(
				_(
					"Plan {0}, or a Smoke Test or setting it uses, was changed after {1} approved it. "
					"Put the change back, or amend the plan and have it approved again."
				).format(self.name, self.approved_by)
			)
		return spec

	def read_spec_to_start(self) -> PlanSpec:
		"""The validated spec of a plan that may be started: approved, unchanged and not deployed yet."""
		spec = self.read_approved_spec()
		if self.status == "Deployed":
			frappe.throw(_("Plan {0} is deployed already. Amend it to deploy again.").format(self.name))
		return spec

	def note_who_ticked(self):
		before = self.get_doc_before_save()
		ticked = {row.name: row.done_by for row in before.checklist if row.done} if before else {}
		for row in self.checklist:
			row.done_by = (ticked.get(row.name) or frappe.session.user) if row.done else None
