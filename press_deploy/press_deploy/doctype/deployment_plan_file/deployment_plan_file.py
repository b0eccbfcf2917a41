# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""One file of an app that is copied instead of fetched by git."""

from frappe.model.document import Document


class DeploymentPlanFile(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		app: DF.Data
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		path: DF.Data
		sha256: DF.Data
	# end: auto-generated types

	pass
