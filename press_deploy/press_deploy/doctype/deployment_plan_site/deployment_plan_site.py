# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""One site that is deployed."""

from frappe.model.document import Document


class DeploymentPlanSite(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		public_url: DF.Data | None
		site: DF.Data
	# end: auto-generated types

	pass
