# Copyright (c) 2026, press_deploy contributors and contributors
# See license.txt

import json
from unittest import mock

import frappe

from press_deploy.press_deploy.doctype.deployment_settings import deployment_settings
from press_deploy.site.plan_spec import build_spec
from press_deploy.site.secrets import read_settings_secrets
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

	def test_secrets_are_handed_out_as_they_were_entered_and_kept_encrypted(self):
		settings = frappe.get_single("Deployment Settings")
		key = json.dumps({"type": "service_account", "private_key": "-----BEGIN\nx\n" + "k" * 2000})
		settings.update(
			{
				"object_store_access_key_id": "AKIAEXAMPLE",
				"object_store_secret_access_key": "wJalr/secret",
				"snapshot_service_account_key": key,
				"snapshot_token": "dop_v1_secret",
			}
		)
		settings.save()
		pair = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "wJalr/secret"}
		others = {"service_account_key": key, "token": "dop_v1_secret"}
		self.assertEqual(read_settings_secrets(), {"object_store": pair, "snapshot": others})
		settings.reload()
		settings.snapshot_uses_object_store_keys = 1
		settings.save()
		self.assertEqual(read_settings_secrets()["snapshot"], {**others, **pair})
		shown = frappe.db.get_singles_dict("Deployment Settings")
		versions = frappe.get_all("Version", {"ref_doctype": "Deployment Settings"}, pluck="data")
		for secret in ("AKIAEXAMPLE", "wJalr/secret", "dop_v1_secret", "BEGIN"):
			self.assertNotIn(secret, json.dumps([shown, versions, settings.as_dict()], default=str))

	def test_without_secrets_there_are_none(self):
		settings = frappe.get_single("Deployment Settings")
		for field in settings.meta.get("fields", {"fieldtype": "Password"}):
			settings.set(field.fieldname, "")
		settings.snapshot_uses_object_store_keys = 0
		settings.save()
		self.assertEqual(read_settings_secrets(), {"object_store": {}, "snapshot": {}})

	def test_a_helper_that_is_not_there_is_said_to_be(self):
		with mock.patch.object(deployment_settings, "find_socket", return_value="/nonexistent.sock"):
			self.assertIn("Not reachable", frappe.get_single("Deployment Settings").helper_status)
