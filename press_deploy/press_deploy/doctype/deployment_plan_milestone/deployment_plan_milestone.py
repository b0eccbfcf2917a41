# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""One line of the planned timeline."""

from frappe.model.document import Document


class DeploymentPlanMilestone(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		action: DF.Data
		duration_minutes: DF.Float
		minute: DF.Int
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		phase: DF.Data
	# end: auto-generated types

	pass
