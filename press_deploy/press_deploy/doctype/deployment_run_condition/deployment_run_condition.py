# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""A condition of a verdict, with its evidence."""

from frappe.model.document import Document


class DeploymentRunCondition(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		condition: DF.Data | None
		evidence: DF.SmallText | None
		holds: DF.Literal["Yes", "No", "Unknown"]
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		stage: DF.Data | None
		threshold: DF.Data | None
		value: DF.Data | None
	# end: auto-generated types

	pass
