# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""A line of preflight."""

from frappe.model.document import Document


class DeploymentRunCheck(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		found: DF.SmallText | None
		outcome: DF.Data | None
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		remedy: DF.SmallText | None
		title: DF.Data | None
	# end: auto-generated types

	pass
