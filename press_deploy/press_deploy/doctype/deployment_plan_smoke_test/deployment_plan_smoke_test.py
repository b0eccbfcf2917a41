# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""A link to a Smoke Test."""

from frappe.model.document import Document


class DeploymentPlanSmokeTest(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		kind: DF.Literal["http", "console"]
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		smoke_test: DF.Link
	# end: auto-generated types

	pass
