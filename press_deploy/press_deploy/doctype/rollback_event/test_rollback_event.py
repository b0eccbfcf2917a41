# Copyright (c) 2026, press_deploy contributors and contributors
# See license.txt

import frappe

from press_deploy.site.testing import MANAGER, VIEWER, DeploymentTestCase

IGNORE_TEST_RECORD_DEPENDENCIES = ["Deployment Run", "User"]
test_ignore = IGNORE_TEST_RECORD_DEPENDENCIES


class TestRollbackEvent(DeploymentTestCase):
	def test_it_is_seen_and_never_written_by_hand(self):
		for user in (MANAGER, VIEWER):
			with self.user(user):
				self.assertTrue(frappe.has_permission("Rollback Event", "read"))
				for right in ("write", "create", "delete"):
					self.assertFalse(frappe.has_permission("Rollback Event", right), right)
		event = frappe.get_doc({"doctype": "Rollback Event", "__newname": "by-hand", "cause": "x"})
		self.assertRaises(frappe.PermissionError, event.insert)
