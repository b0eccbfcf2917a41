# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""A check of the deployed site that plans link to: one HTTP request, or Python in the console."""

import frappe
from frappe import _
from frappe.model.document import Document

from press_deploy.engine.plan.spec import read_plan
from press_deploy.site.allowances import find_forbidden_test
from press_deploy.site.input_messages import describe, errors_shown, refuse
from press_deploy.site.plan_spec import build_smoke_test
from press_deploy.site.runners import open_bench

MAY_WRITE_CODE = {"Deployment Manager", "System Manager"}


class SmokeTest(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		code: DF.Code | None
		description: DF.SmallText | None
		expected_json: DF.Code | None
		expected_status: DF.Int
		expected_text: DF.SmallText | None
		headers: DF.Code | None
		kind: DF.Literal["http", "console"]
		maximum_latency_ms: DF.Float
		method: DF.Literal["GET", "HEAD", "POST"]
		path: DF.Data | None
		timeout_seconds: DF.Int
		title: DF.Data
	# end: auto-generated types

	def onload(self):
		with errors_shown():
			forbidden = find_forbidden_test(open_bench(), self)
		self.set_onload("forbidden", describe(forbidden, self) if forbidden else None)

	def validate(self):
		self.check_author()
		self.check_allowance()
		with errors_shown():
			# A plan of nothing else but this test.
			read_plan(
				{
					"title": "check",
					"sites": [{"name": "site"}],
					"config": [{"key": "k", "value": 1}],
					"smoke_tests": [build_smoke_test(self)],
				}
			)

	def check_allowance(self):
		"""Code is kept only where the bench's shell user allows it; that of the ready-made plan lies there unused."""
		is_written = self.has_value_changed("code") or self.has_value_changed("kind")
		if self.flags.is_ready_made or not is_written:
			return
		with errors_shown():
			forbidden = find_forbidden_test(open_bench(), self)
		if forbidden:
			refuse(forbidden, self)

	def check_author(self):
		"""Code runs with all rights on the production site, whatever a role's permissions are set to."""
		if self.code and self.has_value_changed("code") and not MAY_WRITE_CODE & set(frappe.get_roles()):
			frappe.throw(
				_("Only a Deployment Manager may write the code of a Smoke Test."), frappe.PermissionError
			)
