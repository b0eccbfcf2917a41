# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""Something people see to before, during or after the deployment."""

from frappe.model.document import Document


class DeploymentPlanChecklistItem(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		done: DF.Check
		done_by: DF.Link | None
		item: DF.Data
		mandatory: DF.Check
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		phase: DF.Literal["before", "during", "after"]
	# end: auto-generated types

	pass
