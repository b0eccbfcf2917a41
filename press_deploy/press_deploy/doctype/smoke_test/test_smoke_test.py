# Copyright (c) 2026, press_deploy contributors and contributors
# See license.txt

from unittest import mock

import frappe

from press_deploy.site.plan_spec import build_smoke_test
from press_deploy.site.testing import MANAGER, STRANGER, VIEWER, DeploymentTestCase

IGNORE_TEST_RECORD_DEPENDENCIES = ["User"]
test_ignore = IGNORE_TEST_RECORD_DEPENDENCIES

REFUSED = [
	{"path": "http://other.host/"},
	{"path": "//other.host/"},
	{"path": "ping"},
	{"path": "/a b"},
	{"path": "/x#y"},
	{"path": "/" + "x" * 100_000},
	{"path": "/a\nb"},
	{"path": "/a\0b"},
	{"headers": "{"},
	{"headers": "[1]"},
	{"headers": '{"Authorization": "token x"}'},
	{"headers": '{"Host": "other.host"}'},
	{"headers": '{"A b": "x"}'},
	{"headers": '{"Accept": "a\\nb"}'},
	{"expected_json": "{"},
	{"expected_status": 99},
	{"expected_status": "abc"},
	{"maximum_latency_ms": 1_000_000},
	{"kind": "console", "code": ""},
	{"kind": "console", "code": "x" * 100_000},
	{"kind": "console", "code": "1", "timeout_seconds": 100_000},
]


def make_test(**values):
	return frappe.get_doc(
		{"doctype": "Smoke Test", "title": "Test check", "kind": "http", "path": "/", **values}
	)


CONSOLE = "press_deploy_allow_console_tests"


class TestSmokeTest(DeploymentTestCase):
	def setUp(self):
		super().setUp()
		self.allow(**{CONSOLE: 1})

	def test_code_is_kept_only_where_the_shell_user_allows_it(self):
		kept = make_test(title="Test kept", kind="console", code="assert True").insert()
		http = make_test(title="Test http").insert()
		for value in (None, 0, "1", "true", [1]):
			self.allow(**{CONSOLE: value})
			with (
				mock.patch.dict(frappe.conf, {CONSOLE: 1}),
				self.assertRaises(frappe.ValidationError) as refused,
			):
				make_test(kind="console", code="assert True").insert()
			self.assertIn(f"bench set-config -g {CONSOLE} 1", str(refused.exception))
			kept.reload()
			kept.code = "import os"
			self.assertRaises(frappe.ValidationError, kept.save)
			http.reload()
			http.update({"kind": "console", "code": "import os"})
			self.assertRaises(frappe.ValidationError, http.save)
		kept.reload()
		kept.description = "what is there may be described, and says what it waits for"
		kept.save()
		kept.run_method("onload")
		self.assertIn(CONSOLE, kept.get_onload("forbidden"))
		self.allow(**{CONSOLE: 1})
		kept.run_method("onload")
		self.assertIsNone(kept.get_onload("forbidden"))

	def test_wrong_values_are_refused(self):
		for values in REFUSED:
			with self.subTest(**{key: str(value)[:40] for key, value in values.items()}):
				self.assertRaises(frappe.ValidationError, make_test(**values).insert)

	def test_an_http_check_for_the_plan(self):
		test = make_test(
			headers='{"Accept": "text/html"}', expected_json='{"a": [1]}', expected_text=""
		).insert()
		spec = build_smoke_test(test)
		self.assertEqual((spec["kind"], spec["name"], spec["path"]), ("http", "Test check", "/"))
		self.assertEqual((spec["headers"], spec["expected_json"]), ({"Accept": "text/html"}, {"a": [1]}))
		self.assertIsNone(spec["expected_text"])
		self.assertFalse(spec.get("maximum_latency_ms"))
		self.assertNotIn("code", spec)

	def test_a_console_check_for_the_plan(self):
		test = make_test(kind="console", code="assert True", timeout_seconds=5).insert()
		wanted = {"kind": "console", "name": "Test check", "code": "assert True", "timeout_seconds": 5}
		self.assertEqual(build_smoke_test(test), wanted)

	def test_a_manager_writes_code(self):
		with self.user(MANAGER):
			make_test(kind="console", code="assert True").insert()

	def test_nobody_else_does_whatever_permissions_say(self):
		make_test(kind="console", code="assert True").insert()
		for user in (VIEWER, STRANGER):
			with self.user(user):
				self.assertRaises(frappe.PermissionError, make_test(title="Other").insert)
				test = frappe.get_doc("Smoke Test", "Test check")
				test.code = "import os"
				self.assertRaises(frappe.PermissionError, test.save)
				self.assertRaises(frappe.PermissionError, test.save, ignore_permissions=True)
