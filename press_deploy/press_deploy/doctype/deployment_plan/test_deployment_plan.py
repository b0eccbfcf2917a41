# Copyright (c) 2026, press_deploy contributors and contributors
# See license.txt

import json

import frappe

from press_deploy import api
from press_deploy.engine.errors import InputError
from press_deploy.engine.plan import CONSENT, PlanSpec, read_plan
from press_deploy.engine.run_directory import list_runs
from press_deploy.site.testing import MANAGER, STRANGER, VIEWER, DeploymentTestCase, created

IGNORE_TEST_RECORD_DEPENDENCIES = ["User", "Deployment Plan", "Smoke Test"]
test_ignore = IGNORE_TEST_RECORD_DEPENDENCIES

HOSTILE = ["../../x", "; rm -rf /", "--upload-pack=x", "a\0b", "a\nb", "x" * 100_000, "$(id)"]
# Every field that takes free text from people, with values that must be refused besides the hostile ones.
REFUSED = {
	("sites", "site"): ["http://x", "-x"],
	("sites", "public_url"): ["ftp://x", "http://user:secret@x", "http://x/path", "javascript:alert(1)"],
	("apps", "app"): ["Frappe", "../frappe"],
	("apps", "ref"): ["main..dev", "-b", "a b"],
	("apps", "expected_commit"): ["HEAD", "f00", "F00A724"],
	("apps", "remote"): ["https://example.com/x.git", "ext::sh"],
	("config", "key"): ["maintenance_mode", "db_password", "my_api_key", "encryption_key"],
	("config", "value"): ["{", "True", "NaN"],
	("critical_tests", "target"): ["a;b", "1abc", "a..b"],
	("backup", "safe_directory"): ["relative", "/", "/a/../b", "/a//b"],
	("monitor", "path"): ["http://other.host/", "//other.host/", "ping"],
}


def make_plan(**values):
	"""The smallest plan that can be approved on this site."""
	site = {"site": frappe.local.site}
	change = {"key": "press_deploy_test", "value": "1", "scope": "site"}
	plan = {"doctype": "Deployment Plan", "title": "Test plan", "sites": [site], "config": [change]}
	return frappe.get_doc({**plan, **values})


def with_value(table, field, value):
	if table in ("backup", "monitor"):
		return make_plan(**{f"{table}_{field}": value})
	rows = {
		"sites": {"site": frappe.local.site},
		"apps": {"app": "frappe", "method": "git", "ref": "main"},
		"config": {"key": "k", "value": "1", "scope": "site"},
		"critical_tests": {"target_type": "module", "target": "frappe.tests.test_db"},
	}
	return make_plan(**{table: [{**rows[table], field: value}], "test_site": "other.localhost"})


class TestDeploymentPlan(DeploymentTestCase):
	def approve(self, **values):
		return make_plan(**values).insert().submit()

	# --- the form and the spec -----------------------------------------------------------------

	def test_defaults_of_the_form_are_those_of_the_spec(self):
		plan = make_plan().insert()
		spec = plan.read_spec()
		bare = read_plan({"title": "x", "sites": [{"name": "x"}], "config": [{"key": "k", "value": 1}]})
		for section in ("thresholds", "triggers", "monitor", "drain", "stabilise", "backup", "inconclusive"):
			self.assertEqual(getattr(spec, section), getattr(bare, section), section)
		self.assertEqual(spec.decision_seconds, bare.decision_seconds)

	def test_every_field_of_the_spec_can_be_set(self):
		for section in ("thresholds", "triggers", "monitor", "drain", "stabilise", "backup"):
			for name in PlanSpec.model_fields[section].annotation.model_fields:
				self.assertTrue(frappe.get_meta("Deployment Plan").has_field(f"{section}_{name}"), name)

	def test_the_spec_carries_what_was_filled_in(self):
		plan = make_plan(
			apps=[{"app": "frappe", "method": "copy", "source": "/srv/new"}],
			files=[{"app": "frappe", "path": "frappe/x.py", "sha256": "a" * 64}],
			window_start="2030-01-01 10:00:00",
			window_end="2030-01-01 11:00:00",
			critical_tests=[{"target_type": "doctype", "target": "ToDo", "expected_tests": 3}],
			test_site=frappe.local.site,
			production_test_consent=1,
			thresholds_database_connections=0,
			people=[{"role": "Database administrator", "full_name": "Ada"}],
			notify="a@example.com\n\nb@example.com\n",
		).insert()
		spec = plan.read_spec()
		self.assertEqual(spec.apps[0].files[0].path, "frappe/x.py")
		self.assertEqual(spec.critical_tests[0].doctype, "ToDo")
		self.assertEqual(spec.production_test_consent, CONSENT)
		self.assertEqual((spec.window.end - spec.window.start).total_seconds(), 3600)
		self.assertIsNone(spec.thresholds.database_connections)
		self.assertEqual(spec.people[0].name, "Ada")
		self.assertEqual(spec.notify, ["a@example.com", "b@example.com"])
		self.assertEqual(spec.control_site, frappe.local.site)

	def test_wrong_values_are_refused_by_field(self):
		for (table, field), values in REFUSED.items():
			for value in (*values, *HOSTILE):
				with self.subTest(table=table, field=field, value=value[:40]):
					plan = with_value(table, field, value)
					plan.title = f"Test {table} {field} {value[:20]!r}"
					with self.assertRaises(frappe.ValidationError) as refused:
						plan.insert()
					self.assertIn("What to do", str(refused.exception))

	def test_a_refusal_names_field_value_and_remedy_and_is_escaped(self):
		with self.assertRaises(frappe.ValidationError) as refused:
			with_value("apps", "ref", "<script>x").insert()
		message = str(refused.exception)
		for part in ("Apps, row 1: Branch, Tag or Commit", "&lt;script&gt;", "What to do"):
			self.assertIn(part, message)

	def test_tests_on_production_need_consent(self):
		tests = [{"target_type": "doctype", "target": "ToDo"}]
		plan = make_plan(critical_tests=tests, test_site=frappe.local.site).insert()
		self.assertRaises(frappe.ValidationError, plan.submit)
		plan.reload()
		plan.production_test_consent = 1
		plan.submit()
		self.assertEqual(plan.status, "Approved")

	# --- approval ------------------------------------------------------------------------------

	def test_an_unfinished_plan_is_saved_but_not_approved(self):
		plan = make_plan(config=[]).insert()
		self.assertRaises(InputError, plan.read_spec)
		self.assertRaises(frappe.ValidationError, plan.submit)

	def test_only_what_is_on_the_bench_is_approved(self):
		for values in (
			{"sites": [{"site": "nowhere.localhost"}]},
			{"apps": [{"app": "nonsense", "ref": "main"}]},
			{"critical_tests": [{"target_type": "doctype", "target": "Nonsense"}], "test_site": "nowhere"},
		):
			plan = make_plan(**values).insert()
			self.assertRaises(frappe.ValidationError, plan.submit)
			plan.delete()

	def test_ticking_keeps_the_approval_and_says_who(self):
		plan = self.approve(checklist=[{"phase": "before", "item": "Team available"}])
		approved = plan.spec_sha256
		with self.user(MANAGER):
			plan.checklist[0].done, plan.checklist[0].done_by = 1, "Guest"
			plan.save()
		self.assertEqual(plan.checklist[0].done_by, MANAGER)
		self.assertEqual(plan.read_approved_spec().checklist[0].done_by, MANAGER)
		self.assertEqual(plan.reload().spec_sha256, approved)

	def test_nothing_else_changes_after_approval(self):
		plan = self.approve(checklist=[{"phase": "before", "item": "Team available"}])
		for change in (
			lambda: plan.append("checklist", {"item": "Another"}),
			lambda: plan.checklist.clear(),
			lambda: plan.set("thresholds_error_rate_percent", 90),
			lambda: plan.set("spec_sha256", "0" * 64),
		):
			plan.reload()
			change()
			self.assertRaises(frappe.ValidationError, plan.save)

	def test_a_changed_smoke_test_revokes_the_approval(self):
		test = frappe.get_doc({"doctype": "Smoke Test", "title": "Test ping", "path": "/ping"}).insert()
		plan = self.approve(smoke_tests=[{"smoke_test": test.name}])
		test.path = "/pong"
		test.save()
		self.assertRaises(frappe.ValidationError, api.start, plan.name)

	def test_a_plan_changed_in_the_database_does_not_start(self):
		plan = self.approve()
		row = plan.config[0].name
		frappe.db.set_value("Deployment Plan Config Change", row, "value", "2")
		self.assertRaises(frappe.ValidationError, api.start, plan.name)
		self.assertFalse(list_runs(self.bench))

	# --- who may start -------------------------------------------------------------------------

	def test_a_manager_starts_and_nobody_else_does(self):
		plan = self.approve()
		for user in (VIEWER, STRANGER, "Guest"):
			with self.user(user):
				self.assertRaises(frappe.PermissionError, api.start, plan.name)
				self.assertRaises(frappe.PermissionError, api.dry_run, plan.name)
		with self.user(MANAGER):
			run = api.start(plan.name)["run"]
		self.assertEqual(self.started, [("resume", run)])
		self.assertEqual(frappe.db.get_value("Deployment Run", run, "plan"), plan.name)
		frozen = json.loads(list_runs(self.bench)[0].plan.read_text())
		self.assertEqual((frozen["title"], frozen["approved_by"]), (plan.name, "Administrator"))

	def test_a_viewer_sees_and_changes_nothing(self):
		plan = make_plan().insert()
		with self.user(VIEWER):
			self.assertEqual(frappe.get_doc("Deployment Plan", plan.name).title, "Test plan")
			self.assertTrue(frappe.has_permission("Deployment Plan", "read", plan.name))
			for right in ("write", "submit", "create", "delete"):
				self.assertFalse(frappe.has_permission("Deployment Plan", right), right)
		with self.user(STRANGER):
			self.assertFalse(frappe.has_permission("Deployment Plan", "read", plan.name))

	def test_a_draft_or_deployed_plan_does_not_start(self):
		draft = make_plan().insert()
		self.assertRaises(frappe.ValidationError, api.start, draft.name)
		draft.submit()
		draft.db_set("status", "Deployed")
		self.assertRaises(frappe.ValidationError, api.start, draft.name)
		self.assertFalse(self.started)

	def test_a_draft_may_be_checked(self):
		run = api.dry_run(make_plan().insert().name)["run"]
		self.assertEqual(self.started, [("resume", run, "--dry-run")])

	def test_one_run_at_a_time(self):
		plan, other = self.approve(), self.make_run("other")
		self.write_journal(other, created(other))
		self.assertRaises(frappe.ValidationError, api.start, plan.name)
		self.assertFalse(self.started)

	def test_arguments_of_other_types_are_refused(self):
		for plan in ("nonsense", "", "../../x"):
			self.assertRaises((frappe.ValidationError, frappe.DoesNotExistError), api.start, plan)
