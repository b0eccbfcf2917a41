# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""A run as its journal tells it: a projection, written by press_deploy.site.records and nobody else."""

from frappe.model.document import Document

from press_deploy.site.projection import refuse_writing_by_hand


class DeploymentRun(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		from press_deploy.press_deploy.doctype.deployment_follow_up.deployment_follow_up import (
			DeploymentFollowUp,
		)
		from press_deploy.press_deploy.doctype.deployment_run_check.deployment_run_check import (
			DeploymentRunCheck,
		)
		from press_deploy.press_deploy.doctype.deployment_run_condition.deployment_run_condition import (
			DeploymentRunCondition,
		)
		from press_deploy.press_deploy.doctype.deployment_run_step.deployment_run_step import (
			DeploymentRunStep,
		)

		apps: DF.Code | None
		checks: DF.Table[DeploymentRunCheck]
		conditions: DF.Table[DeploymentRunCondition]
		directory: DF.Data | None
		downtime_seconds: DF.Float
		dry_run: DF.Check
		duration: DF.Duration | None
		ended: DF.Datetime | None
		error: DF.SmallText | None
		follow_up: DF.Table[DeploymentFollowUp]
		follow_up_status: DF.Literal["", "Open", "Closed"]
		follow_up_until: DF.Date | None
		last_seq: DF.Int
		notes: DF.LongText | None
		phase: DF.Data | None
		plan: DF.Link | None
		plan_sha256: DF.Data | None
		reason: DF.SmallText | None
		resumes: DF.Int
		started: DF.Datetime | None
		state: DF.Literal[
			"Pending",
			"Running",
			"Waiting",
			"Rolling Back",
			"Succeeded",
			"Rolled Back",
			"Fatal",
			"Refused",
			"Aborted",
			"Checked",
		]
		steps: DF.Table[DeploymentRunStep]
		verdict: DF.Data | None
	# end: auto-generated types

	def validate(self):
		refuse_writing_by_hand(self)
