# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""The figures of one day after a deployment."""

from frappe.model.document import Document


class DeploymentFollowUp(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		bad_answers: DF.Int
		latency_ms: DF.Float
		new_errors: DF.Int
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		taken: DF.Datetime | None
	# end: auto-generated types

	pass
