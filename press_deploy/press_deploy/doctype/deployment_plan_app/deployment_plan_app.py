# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""One app of the release, by git or by copying files."""

from frappe.model.document import Document


class DeploymentPlanApp(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		app: DF.Data
		expected_commit: DF.Data | None
		method: DF.Literal["git", "copy"]
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		ref: DF.Data | None
		remote: DF.Data | None
		source: DF.Data | None
		ssh_host: DF.Data | None
	# end: auto-generated types

	pass
