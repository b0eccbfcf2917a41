# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""Who has which role, and how to reach them."""

from frappe.model.document import Document


class DeploymentPlanPerson(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		contact: DF.Data | None
		full_name: DF.Data | None
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		role: DF.Data
	# end: auto-generated types

	pass
