# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""What a rollback of the database lost of one DocType."""

from frappe.model.document import Document


class RollbackEventLoss(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		cancelled: DF.Int
		changed: DF.Int
		created: DF.Int
		deleted: DF.Int
		document_type: DF.Data | None
		names: DF.SmallText | None
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		site: DF.Data | None
		submitted: DF.Int
	# end: auto-generated types

	pass
