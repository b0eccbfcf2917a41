# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""One key of a site's or the common configuration."""

from frappe.model.document import Document


class DeploymentPlanConfigChange(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		key: DF.Data
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		scope: DF.Literal["site", "common"]
		value: DF.SmallText
	# end: auto-generated types

	pass
