# Copyright (c) 2026, press_deploy contributors and contributors
# See license.txt

import json
from unittest import mock

import frappe

from press_deploy import api
from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.journal.run_directory import list_runs
from press_deploy.engine.plan.snapshots import Snapshot
from press_deploy.engine.plan.spec import CONSENT, PlanSpec, read_plan
from press_deploy.site import foreground, plan_spec
from press_deploy.site.install import add_ready_made_plan
from press_deploy.site.plan_spec import SAFE_PLACES
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
	("config", "key"): [
		"maintenance_mode",
		"db_password",
		"my_api_key",
		"encryption_key",
		"press_deploy_allow_console_tests",
		"press_deploy_copy_sources",
		"press_deploy_config_keys",
	],
	("config", "value"): ["{", "True", "NaN"],
	("critical_tests", "target"): ["a;b", "1abc", "a..b"],
	("backup", "safe_directory"): ["relative", "/", "/a/../b", "/a//b"],
	("backup_safe_places", "path"): ["relative", "/", "/a/../b", "/a//b"],
	("backup_safe_places", "bucket"): ["Upper", "a", "1.2.3.4", "a..b", "xn--x"],
	("backup_safe_places", "prefix"): ["/x", "x/", "a//b", "../x", ".hidden"],
	("backup_safe_places", "endpoint_url"): ["ftp://x", "http://user:secret@x", "javascript:alert(1)"],
	("backup_safe_places", "host"): ["-x", "a b", "host:22"],
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
		"backup_safe_places": {"kind": "s3", "bucket": "acme-backups"},
		"critical_tests": {"target_type": "module", "target": "frappe.tests.test_db"},
	}
	if field == "host":
		rows["backup_safe_places"] = {"kind": "ssh", "path": "/x"}
	elif field == "path":
		rows["backup_safe_places"] = {"kind": "directory"}
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
		sections = {
			section: PlanSpec.model_fields[section].annotation
			for section in ("thresholds", "triggers", "monitor", "drain", "stabilise", "backup")
		}
		for section, model in {**sections, "snapshot": Snapshot}.items():
			# The form has the snapshot beside the backup.
			for name in model.model_fields.keys() - {"snapshot"}:
				self.assertTrue(frappe.get_meta("Deployment Plan").has_field(f"{section}_{name}"), name)
		for model in SAFE_PLACES.values():
			for name in model.model_fields:
				self.assertTrue(frappe.get_meta("Deployment Plan Safe Place").has_field(name), name)
		kinds = frappe.get_meta("Deployment Plan Safe Place").get_options("kind").split("\n")
		self.assertEqual(kinds, list(SAFE_PLACES))

	def test_the_spec_carries_what_was_filled_in(self):
		self.allow(press_deploy_copy_sources=["/srv"])
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

	def test_backup_places_and_snapshot_reach_the_spec(self):
		self.allow(press_deploy_allow_boot_check=1)
		plan = make_plan(
			backup_method="stream",
			backup_required_rung="5 bootable",
			backup_boot_check="assert True",
			backup_config_secrets="leave_out",
			backup_retention_days=90,
			backup_automatic_rollback=0,
			backup_safe_directory="/backup/short",
			backup_safe_places=[
				{"kind": "directory", "path": "/backup/safe"},
				{"kind": "s3", "bucket": "acme-backups", "prefix": "prod", "credentials": "settings"},
				{"kind": "ssh", "host": "backup@nas", "path": "/srv/backups", "port": 2222},
			],
			snapshot_provider="aws",
			snapshot_region="eu-west-3",
			snapshot_when_failed="warn",
		).insert()
		# As it comes back from the database, where empty fields are not what they were in the form.
		backup = frappe.get_doc("Deployment Plan", plan.name).read_spec().backup
		self.assertEqual((backup.method, backup.required_rung, backup.retention_days), ("stream", 5, 90))
		self.assertEqual((backup.config_secrets, backup.automatic_rollback), ("leave_out", False))
		self.assertEqual(backup.boot_check, "assert True")
		short, directory, store, host = backup.places
		self.assertEqual((short.path, directory.path), ("/backup/short", "/backup/safe"))
		self.assertEqual(
			(store.bucket, store.prefix, store.credentials), ("acme-backups", "prod", "settings")
		)
		self.assertIsNone(store.endpoint_url)
		self.assertEqual((host.host, host.path, host.port), ("backup@nas", "/srv/backups", 2222))
		self.assertEqual((backup.snapshot.region, backup.snapshot.when_failed), ("eu-west-3", "warn"))
		self.assertIsNone(backup.snapshot.volume)

	def test_without_provider_there_is_no_snapshot_and_without_rung_the_plan_decides(self):
		backup = make_plan().insert().read_spec().backup
		self.assertIsNone(backup.snapshot)
		self.assertIsNone(backup.required_rung)
		self.assertEqual((backup.rung_before_window(True), backup.rung_before_window(False)), (4, 3))

	def test_what_a_backup_plan_contradicts_is_refused_where_it_stands(self):
		place = {"kind": "s3", "bucket": "acme-backups", "credentials": "settings", "profile": "x"}
		for values, where in (
			({"backup_required_rung": "3 safe"}, "<b>Backup</b>"),
			({"backup_safe_places": [{"kind": "s3", "bucket": "No Bucket"}]}, "Safe Places, row 1: Bucket"),
			({"backup_safe_places": [{"kind": "ssh", "host": "-oProxy", "path": "/x"}]}, "row 1: Host"),
			({"backup_safe_places": [{"path": "/x"}, {"path": "relative"}]}, "row 2: Directory"),
			({"backup_safe_places": [place]}, "Safe Places, row 1"),
			({"snapshot_provider": "gcp", "snapshot_region": "eu-west-3"}, "<b>Cloud Snapshot</b>"),
			({"snapshot_provider": "aws", "snapshot_volume": "../x"}, "<b>Cloud Snapshot</b>"),
			({"snapshot_provider": "gcp", "snapshot_zone": "x"}, "<b>Zone</b>"),
			({"snapshot_provider": "aws", "snapshot_endpoint_url": "http://example.com"}, "Endpoint URL"),
			({"backup_retention_days": 0}, "Keep for Days"),
		):
			with self.subTest(**values):
				settings = frappe.get_single("Deployment Settings")
				with mock.patch.object(plan_spec.frappe, "get_cached_doc", return_value=settings):
					settings.safe_directory = None
					with self.assertRaises(frappe.ValidationError) as refused:
						make_plan(**values).insert()
				self.assertIn(where, str(refused.exception))
				self.assertIn("What to do", str(refused.exception))

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
			with self.assertRaises(frappe.ValidationError) as refused:
				plan.submit()
			self.assertNotIn(frappe.local.site, str(refused.exception), "the bench's sites are listed")
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
		plan = self.approve(backup_safe_places=[{"kind": "directory", "path": "/backup/safe"}])
		for row, field, value in (
			(plan.config[0], "value", "2"),
			(plan.backup_safe_places[0], "path", "/elsewhere"),
			(plan, "snapshot_provider", "aws"),
			(plan, "backup_automatic_rollback", 0),
		):
			before = row.get(field)
			frappe.db.set_value(row.doctype, row.name, field, value)
			self.assertRaises(frappe.ValidationError, api.start, plan.name)
			frappe.db.set_value(row.doctype, row.name, field, before)
		self.assertFalse(list_runs(self.bench))

	# --- what the bench's shell user allows ----------------------------------------------------

	def test_code_is_kept_in_a_plan_only_where_it_is_allowed(self):
		copied = {
			"apps": [{"app": "frappe", "method": "copy", "source": "/srv/new"}],
			"files": [{"app": "frappe", "path": "frappe/x.py", "sha256": "a" * 64}],
		}
		for values, words, allowed in (
			({"backup_boot_check": "import os"}, "Boot Check", {"press_deploy_allow_boot_check": 1}),
			(copied, "Apps, row 1: Source Directory", {"press_deploy_copy_sources": ["/srv/new"]}),
		):
			self.allow()
			with self.assertRaises(frappe.ValidationError) as refused:
				make_plan(**values).insert()
			for part in (words, "bench set-config -g", *allowed):
				self.assertIn(part, str(refused.exception))
			# What a site's own configuration says, Frappe puts over the common one.
			with mock.patch.dict(frappe.conf, allowed):
				self.assertRaises(frappe.ValidationError, make_plan(**values).insert)
			self.allow(**allowed)
			make_plan(**values).insert().delete()

	def test_code_is_refused_in_a_plan_that_is_not_complete_yet_too(self):
		tests = [{"target_type": "doctype", "target": "ToDo"}]
		for unfinished in ({"critical_tests": tests}, {"config": []}):
			plan = make_plan(**unfinished, backup_boot_check="import os")
			with self.assertRaises(frappe.ValidationError) as refused:
				plan.insert()
			self.assertIn("press_deploy_allow_boot_check", str(refused.exception))

	def test_the_ready_made_plan_says_what_its_console_test_waits_for(self):
		add_ready_made_plan()
		plan = frappe.get_doc("Deployment Plan", "Press v16")
		plan.run_method("onload")
		shown = "".join(plan.get_onload("forbidden"))
		for key in ("press_deploy_allow_console_tests", "press_deploy_config_keys"):
			self.assertIn(key, shown)

	def test_a_draft_may_name_what_waits_for_the_shell_user_and_is_not_approved(self):
		self.allow(press_deploy_allow_console_tests=1)
		test = {"doctype": "Smoke Test", "title": "Test code", "kind": "console", "code": "assert True"}
		frappe.get_doc(test).insert()
		scripts = {"key": "server_script_enabled", "value": "true", "scope": "common"}
		self.allow()
		plan = make_plan(smoke_tests=[{"smoke_test": "Test code"}], config=[scripts]).insert()
		plan.run_method("onload")
		shown = plan.get_onload("forbidden")
		self.assertEqual(len(shown), 2)
		self.assertIn("bench set-config -g press_deploy_allow_console_tests 1", shown[0])
		for allowed in (
			{},
			{"press_deploy_allow_console_tests": 1},
			{"press_deploy_allow_console_tests": "1", "press_deploy_config_keys": ["server_script_enabled"]},
		):
			self.allow(**allowed)
			plan.reload()
			self.assertRaises(frappe.ValidationError, plan.submit)
		self.allow(press_deploy_allow_console_tests=True, press_deploy_config_keys=["server_script_enabled"])
		plan.reload()
		plan.submit()
		self.assertEqual(plan.status, "Approved")

	def test_what_is_not_allowed_any_more_does_not_start(self):
		self.allow(press_deploy_allow_boot_check=1)
		plan = self.approve(backup_boot_check="assert True")
		self.allow()
		with self.assertRaises(frappe.ValidationError) as refused:
			api.start(plan.name)
		self.assertIn("press_deploy_allow_boot_check", str(refused.exception))
		self.assertFalse(list_runs(self.bench))
		# Looking is allowed; its preflight says the same.
		api.dry_run(plan.name)
		self.allow(press_deploy_allow_boot_check=1)
		api.start(plan.name)

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
		# In the terminal as in Desk.
		self.assertEqual(foreground.run_plan(draft.name), foreground.BAD_USAGE)
		self.assertFalse(self.started)

	def test_a_draft_may_be_checked(self):
		run = api.dry_run(make_plan().insert().name)["run"]
		self.assertEqual(self.started, [("resume", run, "--dry-run")])

	def test_one_run_at_a_time(self):
		plan, other = self.approve(), self.make_run("other")
		self.write_journal(other, created(other))
		self.assertRaises(frappe.ValidationError, api.start, plan.name)
		self.assertFalse(self.started)

	def test_who_else_has_the_bench_is_not_told_to_another_site(self):
		plan = self.approve()
		other = self.make_run("secret", control_site="other.localhost")
		(other.path.parent / "lock.json").write_text(
			json.dumps({"run": other.name, "reason": "deployment", "pid": 1, "since": "2026-01-01T00:00:00"})
		)
		for records in ([], [created(other)]):
			self.write_journal(other, *records)
			with self.assertRaises(frappe.ValidationError) as refused:
				api.start(plan.name)
			self.assertIn("busy with a run of another site", str(refused.exception))
			self.assertNotIn("secret", str(refused.exception))
		self.assertFalse(self.started)

	def test_arguments_of_other_types_are_refused(self):
		for plan in ("nonsense", "", "../../x"):
			self.assertRaises((frappe.ValidationError, frappe.DoesNotExistError), api.start, plan)
