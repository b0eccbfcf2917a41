# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""A rung of the ladder of proof, and what was seen of it."""

from frappe.model.document import Document


class DeploymentBackupProof(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		evidence: DF.SmallText | None
		outcome: DF.Literal["Passed", "Failed", "Not Tried"]
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		rung: DF.Data | None
		time: DF.Datetime | None
	# end: auto-generated types

	pass
