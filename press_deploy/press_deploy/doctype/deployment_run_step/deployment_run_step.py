# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""A step of a run or of a rollback."""

from frappe.model.document import Document


class DeploymentRunStep(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		ended: DF.Datetime | None
		error: DF.SmallText | None
		found: DF.SmallText | None
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		phase: DF.Data | None
		seconds: DF.Float
		started: DF.Datetime | None
		status: DF.Data | None
		step: DF.Data | None
		title: DF.Data | None
	# end: auto-generated types

	pass
