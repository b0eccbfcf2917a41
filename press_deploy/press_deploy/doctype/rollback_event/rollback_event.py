# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""A rollback as the journal of its run tells it: a projection, like the Deployment Run."""

from frappe.model.document import Document

from press_deploy.site.projection import refuse_writing_by_hand


class RollbackEvent(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		from press_deploy.press_deploy.doctype.deployment_run_step.deployment_run_step import (
			DeploymentRunStep,
		)
		from press_deploy.press_deploy.doctype.rollback_event_loss.rollback_event_loss import (
			RollbackEventLoss,
		)

		approved_by: DF.Data | None
		approved_list: DF.Data | None
		asked_by: DF.Data | None
		cause: DF.SmallText | None
		duration: DF.Duration | None
		ended: DF.Datetime | None
		error: DF.SmallText | None
		exports: DF.SmallText | None
		losses: DF.Table[RollbackEventLoss]
		other_losses: DF.SmallText | None
		outcome: DF.Literal["Rolling Back", "Waiting", "Rolled Back", "Abandoned", "Fatal"]
		quarantine: DF.SmallText | None
		reason: DF.SmallText | None
		run: DF.Link
		started: DF.Datetime | None
		steps: DF.Table[DeploymentRunStep]
		with_database: DF.Check
	# end: auto-generated types

	def validate(self):
		refuse_writing_by_hand(self)
