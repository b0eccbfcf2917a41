# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""One target of Frappe's test runner."""

from frappe.model.document import Document


class DeploymentPlanCriticalTest(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		expected_tests: DF.Int
		failfast: DF.Check
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		target: DF.Data
		target_type: DF.Literal["module", "app", "doctype"]
		timeout_seconds: DF.Int
	# end: auto-generated types

	pass
