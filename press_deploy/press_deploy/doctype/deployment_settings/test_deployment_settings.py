# Copyright (c) 2026, press_deploy contributors and contributors
# See license.txt

from unittest import mock

import frappe

from press_deploy.press_deploy.doctype.deployment_settings import deployment_settings
from press_deploy.site.plan_spec import build_spec
from press_deploy.site.testing import DeploymentTestCase


class TestDeploymentSettings(DeploymentTestCase):
	def test_wrong_directories_are_refused(self):
		for directory in ("relative", "/", "/a/../b", "/a//b", "/a\nb", "~/x"):
			settings = frappe.get_single("Deployment Settings")
			settings.safe_directory = directory
			with self.subTest(directory=directory):
				self.assertRaises(frappe.ValidationError, settings.save)

	def test_a_plan_falls_back_to_the_settings(self):
		settings = frappe.get_single("Deployment Settings")
		settings.update({"safe_directory": "/backup/safe", "notify": "a@example.com\nb@example.com"})
		settings.save()
		plan = frappe.get_doc({"doctype": "Deployment Plan", "title": "Test plan"})
		spec = build_spec(plan)
		self.assertEqual(spec["backup"]["safe_directory"], "/backup/safe")
		self.assertEqual(spec["notify"], ["a@example.com", "b@example.com"])
		plan.backup_safe_directory, plan.notify = "/elsewhere", "c@example.com"
		spec = build_spec(plan)
		self.assertEqual(spec["backup"]["safe_directory"], "/elsewhere")
		self.assertEqual(spec["notify"], ["c@example.com"])

	def test_a_helper_that_is_not_there_is_said_to_be(self):
		with mock.patch.object(deployment_settings, "find_socket", return_value="/nonexistent.sock"):
			self.assertIn("Not reachable", frappe.get_single("Deployment Settings").helper_status)
