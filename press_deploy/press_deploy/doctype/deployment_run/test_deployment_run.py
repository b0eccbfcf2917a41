# Copyright (c) 2026, press_deploy contributors and contributors
# See license.txt

import inspect
import json
import time
from unittest import mock

import frappe

from press_deploy import api, jobs
from press_deploy.engine.execution import execution
from press_deploy.engine.ground.errors import InputError, Refused
from press_deploy.engine.journal.requests import put_request, read_requests
from press_deploy.site import background
from press_deploy.site import records as projection
from press_deploy.site.records import project, project_all
from press_deploy.site.testing import (
	ADMIN,
	MANAGER,
	STRANGER,
	VIEWER,
	DeploymentTestCase,
	created,
	ended,
	losses,
	step_done,
)

IGNORE_TEST_RECORD_DEPENDENCIES = ["User", "Deployment Plan"]
test_ignore = IGNORE_TEST_RECORD_DEPENDENCIES


def waits(when_nobody_decides, deadline):
	about = {"step": "final-verdict", "reason": "latency", "accepts_go": True, "approve": None}
	return "waiting", {**about, "when_nobody_decides": when_nobody_decides, "deadline": deadline}


WAITING = waits("roll_back", time.time() + 900)
OVER_DUE = waits("roll_back", 1.0)
ROLLBACK = ("rollback-started", {"cause": "error rate", "by": None, "error": None})
LIST, OTHER_LIST = "a" * 64, "b" * 64


def waiting_to_lose(sha256, accepts_go=True):
	about = {"reason": "would lose orders", "when_nobody_decides": "keep", "step": "lost-documents"}
	return "waiting", {**about, "accepts_go": accepts_go, "approve": sha256, "deadline": time.time() + 900}


class TestDeploymentRun(DeploymentTestCase):
	def make(self, *records, title="Test plan"):
		run = self.make_run(title)
		self.write_journal(run, created(run), *records)
		project(str(run.path))
		return run

	def make_site(self):
		"""A site that can't have a standby: nobody tested this kind of database."""
		site = self.bench / "sites" / frappe.local.site
		site.mkdir()
		config = {"db_name": "x", "db_type": "postgres"}
		(site / "site_config.json").write_text(json.dumps(config))

	def content(self, doctype, name):
		record = frappe.get_doc(doctype, name).as_dict(no_default_fields=True, no_nulls=True)
		return json.dumps(record, default=str, sort_keys=True)

	# --- the projection ------------------------------------------------------------------------

	def test_projecting_twice_changes_nothing(self):
		run = self.make(
			*step_done("maintenance"), ROLLBACK, *step_done("back", "rollback"), ended("Rolled Back")
		)
		event = f"{run.name}-rollback-1"
		before = self.content("Deployment Run", run.name), self.content("Rollback Event", event)
		modified = frappe.db.get_value("Deployment Run", run.name, "modified")
		project(str(run.path))
		self.assertEqual(
			(self.content("Deployment Run", run.name), self.content("Rollback Event", event)), before
		)
		self.assertEqual(frappe.db.get_value("Deployment Run", run.name, "modified"), modified)
		self.assertEqual(frappe.db.count("Rollback Event", {"run": run.name}), 1)

	def test_a_record_that_was_lost_is_written_again(self):
		run = self.make(*step_done("maintenance"), ROLLBACK, ended("Rolled Back"))
		before = self.content("Deployment Run", run.name)
		frappe.delete_doc("Rollback Event", f"{run.name}-rollback-1", force=True)
		frappe.delete_doc("Deployment Run", run.name, force=True)
		self.assertEqual(project_all(str(self.bench))["projected"], [run.name])
		self.assertEqual(self.content("Deployment Run", run.name), before)
		self.assertTrue(frappe.db.exists("Rollback Event", f"{run.name}-rollback-1"))
		self.assertEqual(project_all(str(self.bench))["projected"], [])

	def test_a_record_that_is_behind_is_repaired(self):
		run = self.make(*step_done("maintenance"))
		self.assertEqual(frappe.db.get_value("Deployment Run", run.name, "state"), "Running")
		self.write_journal(run, *step_done("restart"), ended("Succeeded"))
		project_all(str(self.bench))
		record = frappe.get_doc("Deployment Run", run.name)
		self.assertEqual((record.state, len(record.steps)), ("Succeeded", 2))
		self.assertEqual(record.follow_up_status, "Open")

	def test_each_rollback_is_an_event_of_its_own(self):
		run = self.make(
			ROLLBACK, *step_done("first", "rollback"), ended("Fatal"),
			("rollback-started", {"cause": "again", "by": "me", "error": None}),
			*step_done("second", "rollback"), ended("Rolled Back"),
		)  # fmt: skip
		first, second = (frappe.get_doc("Rollback Event", f"{run.name}-rollback-{n}") for n in (1, 2))
		self.assertEqual((first.outcome, first.cause, first.steps[0].step), ("Fatal", "error rate", "first"))
		self.assertEqual(
			(second.outcome, second.asked_by, second.steps[0].step), ("Rolled Back", "me", "second")
		)

	def test_a_damaged_journal_is_reported_and_the_others_are_projected(self):
		damaged, whole = self.make(), self.make(title="Another")
		damaged.journal.write_text(damaged.journal.read_text().replace("run-created", "run-crafted"))
		frappe.delete_doc("Deployment Run", whole.name, force=True)
		outcome = project_all(str(self.bench))
		self.assertEqual(outcome["projected"], [whole.name])
		self.assertIn("changed after it was written", outcome["failed"][damaged.name])

	def test_a_record_that_cannot_be_saved_is_reported_and_the_others_are_projected(self):
		"""The runner's own projector may save the same record at the same moment."""
		bad, whole = self.make(), self.make(title="Another")
		for run in (bad, whole):
			frappe.delete_doc("Deployment Run", run.name, force=True)
		# Else the rollback for the bad one brings the other back, where its name sorts first.
		frappe.db.commit()
		save, left = projection.save_projection, f"{self.bench.name}-left"

		def save_or_refuse(record):
			if record.name == bad.name:
				frappe.get_doc({"doctype": "ToDo", "description": left}).insert()
				raise frappe.TimestampMismatchError("it was changed meanwhile")
			save(record)

		with mock.patch.object(projection, "save_projection", save_or_refuse):
			outcome = project_all(str(self.bench))
		self.assertEqual(outcome["projected"], [whole.name])
		self.assertIn("TimestampMismatchError: it was changed meanwhile", outcome["failed"][bad.name])
		self.assertFalse(frappe.db.exists("ToDo", {"description": left}), "half a record is left")
		self.assertEqual(project_all(str(self.bench))["projected"], [bad.name])

	def test_times_are_those_of_the_site(self):
		run = self.make()
		started = frappe.db.get_value("Deployment Run", run.name, "started")
		self.assertLess(abs((frappe.utils.now_datetime() - started).total_seconds()), 60)

	def test_nobody_writes_a_record_by_hand(self):
		run = self.make()
		for user in ("Administrator", MANAGER):
			with self.user(user):
				record = frappe.get_doc("Deployment Run", run.name)
				record.state = "Succeeded"
				self.assertRaises(frappe.PermissionError, record.save)
				new = frappe.get_doc({"doctype": "Deployment Run", "__newname": "by-hand"})
				self.assertRaises(frappe.PermissionError, new.insert)

	# --- what may be asked of a run, by whom, when ---------------------------------------------

	def test_roles(self):
		run = self.make(WAITING)
		for user in (VIEWER, STRANGER, "Guest"):
			with self.user(user):
				for ask in (
					lambda: api.abort(run.name),
					lambda: api.roll_back(run.name, "why"),
					lambda: api.resume(run.name),
					lambda: api.decide(run.name, "go", "why"),
					lambda: api.sample_now(run.name),
					lambda: api.losses(run.name),
					lambda: api.roll_back(run.name, "why", 1, LIST),
					lambda: api.decide(run.name, "approve", "why", LIST),
					lambda: api.work(f"press-deploy-losses-{run.name}"),
					api.back_up_now,
					api.prove_latest_backup,
				):
					self.assertRaises(frappe.PermissionError, ask)
		with self.user(VIEWER):
			self.assertEqual(api.progress(run.name)["state"], "Waiting")
		with self.user(STRANGER):
			self.assertRaises(frappe.PermissionError, api.progress, run.name)
			self.assertRaises(frappe.PermissionError, api.report, run.name)
		self.assertFalse(self.started)

	# --- runs of other sites -------------------------------------------------------------------

	def make_foreign(self, *records, control_site="other.localhost"):
		run = self.make_run("Secret plan", control_site=control_site, sites=[{"name": "other.localhost"}])
		self.write_journal(run, created(run), *records)
		return run

	def test_a_run_of_another_site_is_unknown_in_the_words_for_one_that_does_not_exist(self):
		given = {"reason": "why", "decision": "go"}
		methods = {
			name: function
			for name, function in vars(api).items()
			if inspect.isfunction(function)
			and function in frappe.whitelisted
			and "run" in inspect.signature(function).parameters
		}
		self.assertGreaterEqual(len(methods), 8)
		absent = "20200101-000000-none-0000"
		for records in ((WAITING,), (ended("Succeeded"),), step_done("maintenance")):
			for control_site in ("other.localhost", None):
				foreign = self.make_foreign(*records, control_site=control_site)
				for name, function in methods.items():
					wanted = inspect.signature(function).parameters
					arguments = {key: value for key, value in given.items() if key in wanted}
					said = []
					for run in (foreign.name, absent):
						with self.subTest(name), self.assertRaises(frappe.ValidationError) as refused:
							function(run=run, **arguments)
						said.append(str(refused.exception).replace(run, "RUN"))
					self.assertEqual(said[0], said[1], name)
					self.assertNotIn("secret", said[0].lower())
				self.assertEqual(read_requests(foreign, set()), [])
		self.assertFalse(self.started)

	def test_jobs_know_no_run_of_another_site(self):
		foreign = self.make_foreign(*step_done("final-backup"), ended("Succeeded"))
		for ask in (
			lambda: jobs.take_sample(foreign.name),
			lambda: jobs.list_losses(foreign.name, MANAGER),
			lambda: jobs.roll_back(foreign.name, MANAGER, "why", LIST),
			lambda: project(str(foreign.path)),
		):
			self.assertRaises(InputError, ask)
		self.assertFalse(self.started)

	def test_no_record_is_kept_of_runs_of_other_sites(self):
		for control_site in ("other.localhost", None):
			self.make_foreign(control_site=control_site)
		self.assertEqual(project_all(str(self.bench)), {"projected": [], "failed": {}})

	def test_an_error_names_no_run_of_another_site(self):
		self.make_foreign()
		with self.assertRaises(frappe.ValidationError) as refused:
			api.progress("none")
		self.assertNotIn("secret", str(refused.exception))

	def test_a_dead_run_of_another_site_is_resumed_and_nobody_here_reads_its_name(self):
		"""Its own site is closed, and a closed site has no scheduler."""
		foreign = self.make_foreign(*step_done("maintenance"))
		jobs.resume_orphaned_runs()
		self.assertEqual(self.started, [("resume", foreign.name)])
		with mock.patch.object(jobs.runners, "start", side_effect=frappe.ValidationError(foreign.name)):
			jobs.resume_orphaned_runs()

	def test_losing_data_is_for_the_role_that_is_for_it(self):
		live = self.make(ended("Succeeded"))
		waiting = self.make(ROLLBACK, losses(LIST, Order={"created": ["O-1"]}), waiting_to_lose(LIST))
		with self.user(ADMIN):
			for ask in (
				lambda: api.roll_back(live.name, "why", 1, LIST),
				lambda: api.decide(waiting.name, "approve", "why", LIST),
			):
				self.assertRaises(frappe.PermissionError, ask)
			self.assertFalse(self.started)
			api.roll_back(live.name, "the code alone")
			api.decide(waiting.name, "go", "keep it")
		self.assertEqual([request.action for request in read_requests(waiting, set())], ["go"])
		with self.user(MANAGER):
			api.roll_back(live.name, "why", 1, LIST)
			api.decide(waiting.name, "approve", "why", LIST)

	def test_a_decision_is_put_where_the_runner_takes_it(self):
		run = self.make(WAITING)
		with self.user(MANAGER):
			api.decide(run.name, "go", "looks good")
		(request,) = read_requests(run, set())
		self.assertEqual((request.action, request.by, request.reason), ("go", MANAGER, "looks good"))
		self.assertEqual(self.started, [("resume", run.name)])

	def test_state_is_checked_on_the_server(self):
		running, over = self.make(*step_done("maintenance")), self.make(ended("Rolled Back"))
		dead_waiting = self.make(WAITING)
		for refused in (
			lambda: api.decide(running.name, "go", "why"),
			lambda: api.decide(dead_waiting.name, "perhaps", "why"),
			lambda: api.decide(dead_waiting.name, "go", " "),
			lambda: api.abort(over.name),
			lambda: api.resume(over.name),
			lambda: api.roll_back(over.name, "why"),
			lambda: api.roll_back(running.name, ""),
			lambda: api.abort(running.name, "two\nlines"),
		):
			self.assertRaises(frappe.ValidationError, refused)
		self.assertFalse(self.started)

	def test_a_live_run_is_rolled_back_by_a_process_of_its_own(self):
		run = self.make(ended("Succeeded"))
		api.roll_back(run.name, "customers complain")
		command = ("rollback", run.name, "--by=Administrator", "--reason=customers complain")
		self.assertEqual(self.started, [command])
		self.assertRaises(frappe.ValidationError, api.roll_back, run.name, "two\nlines")

	# --- the database goes back too ------------------------------------------------------------

	def test_a_rollback_of_the_database_carries_the_list_that_was_read(self):
		live, running = self.make(ended("Succeeded")), self.make(*step_done("backup", "prepare"))
		with self.user(MANAGER):
			api.roll_back(live.name, "wrong totals", "1", LIST)
			api.roll_back(running.name, "wrong totals", 1, LIST)
		command = ("rollback", live.name, f"--by={MANAGER}", "--reason=wrong totals", "--database")
		self.assertIn((*command, f"--approve={LIST}"), self.started)
		(request,) = read_requests(running, set())
		self.assertEqual((request.action, request.database, request.approves), ("rollback", True, LIST))

	def test_a_database_whose_losses_nobody_can_list_does_not_go_back(self):
		self.make_site()
		closed, migrated = step_done("maintenance"), step_done("migrate")
		opened = (*closed, *migrated, *step_done("open", "open"))
		for records, ask in (
			(opened, lambda run: api.roll_back(run, "why")),
			(opened, lambda run: api.abort(run, "why")),
			((*opened, WAITING), lambda run: api.decide(run, "no-go", "why")),
			(closed, lambda run: api.roll_back(run, "why", 1, LIST)),
			((*opened, ended("Succeeded")), lambda run: api.roll_back(run, "why")),
		):
			run = self.make(*records)
			with (
				self.subTest(records=records),
				self.assertRaisesRegex(frappe.ValidationError, "would go back"),
			):
				ask(run.name)
			self.assertEqual(read_requests(run, set()), [])
		self.assertFalse(self.started)

	def test_a_code_alone_goes_back_without_a_standby(self):
		run = self.make(*step_done("maintenance"), *step_done("open", "open"))
		api.roll_back(run.name, "why")
		self.assertEqual([request.action for request in read_requests(run, set())], ["rollback"])

	def test_the_database_does_not_go_back_without_a_list(self):
		run = self.make(ended("Succeeded"))
		for database, approves in ((1, None), (1, ""), (0, LIST), (1, "x"), (1, "A" * 64), (1, f"{LIST}\n")):
			with self.subTest(database=database, approves=approves):
				self.assertRaises(frappe.ValidationError, api.roll_back, run.name, "why", database, approves)
		self.assertFalse(self.started)

	def test_a_run_that_waits_to_lose_documents_is_approved_with_its_list_only(self):
		run = self.make(ROLLBACK, losses(LIST, Order={"created": ["O-1"]}), waiting_to_lose(LIST))
		for decision, sha256 in (
			("approve", None), ("approve", OTHER_LIST), ("approve", LIST[:-1]), ("no-go", None), ("x", LIST),
		):  # fmt: skip
			self.assertRaises(frappe.ValidationError, api.decide, run.name, decision, "why", sha256)
		self.assertEqual(read_requests(run, set()), [])
		with self.user(MANAGER):
			api.decide(run.name, "approve", "read it", LIST)
		(request,) = read_requests(run, set())
		self.assertEqual((request.action, request.by, request.approves), ("approve", MANAGER, LIST))
		self.assertEqual(self.started, [("resume", run.name)])

	def test_the_release_is_kept_only_where_that_is_a_choice(self):
		run = self.make(ROLLBACK, losses(LIST), waiting_to_lose(LIST))
		api.decide(run.name, "go", "keep it")
		self.assertEqual([request.action for request in read_requests(run, set())], ["go"])
		closed = self.make(ROLLBACK, losses(LIST), waiting_to_lose(LIST, accepts_go=False))
		self.assertRaises(frappe.ValidationError, api.decide, closed.name, "go", "keep it")
		ordinary = self.make(WAITING)
		self.assertRaises(frappe.ValidationError, api.decide, ordinary.name, "approve", "why", LIST)

	def test_progress_carries_the_list_that_is_to_be_approved_and_no_other(self):
		run = self.make(ROLLBACK, losses(LIST, Order={"created": ["<b>O-1"]}), waiting_to_lose(LIST))
		shown = api.progress(run.name)["losses"]
		self.assertEqual(shown["sha256"], LIST)
		orders = shown["sites"]["shop.localhost"]["documents"]["Order"]
		self.assertEqual(orders, {"created": {"count": 1, "names": ["<b>O-1"]}})
		for records in (
			[ROLLBACK, losses(OTHER_LIST), waiting_to_lose(LIST)],
			[ROLLBACK, losses(LIST), ended("Rolled Back")],
			[WAITING],
		):
			self.assertIsNone(api.progress(self.make(*records).name)["losses"])

	def test_the_list_is_made_by_a_job_that_is_asked_for_it(self):
		run = self.make(*step_done("final-backup"), ended("Succeeded"))
		with mock.patch.object(background.frappe, "enqueue") as enqueue:
			name = api.losses(run.name)["work"]
		self.assertEqual(enqueue.call_args.kwargs["job_id"], name)
		listed = {"sites": {}, "sha256": LIST, "lines": []}
		with mock.patch.object(jobs.runners, "read_losses", return_value=listed) as read_losses:
			jobs.list_losses(run=run.name, user=MANAGER)
		self.assertEqual(read_losses.call_args.args[0].path, run.path)
		answer = api.work(name)
		self.assertEqual(answer["state"], "done")
		self.assertEqual({**answer["result"], **listed}, answer["result"])
		self.assertIn(f"status {run.name}", answer["result"]["command"])
		made = frappe.utils.get_datetime(answer["result"]["backup_made"])
		self.assertLess(abs((frappe.utils.now_datetime() - made).total_seconds()), 60)

	@mock.patch.object(execution, "check_way_back")
	@mock.patch.object(api, "check_way_back")
	def test_sites_at_work_are_closed_only_for_the_list_that_was_read(self, *_listable):
		opened = (*step_done("maintenance"), *step_done("open", "open"))
		for records in (opened, (*opened, ended("Succeeded"))):
			run = self.make(*records)
			with self.user(MANAGER), mock.patch.object(background.frappe, "enqueue") as enqueue:
				name = api.roll_back(run.name, "wrong totals", 1, LIST)["work"]
			asked = {key: enqueue.call_args.kwargs[key] for key in ("run", "user", "reason", "approves")}
			self.assertEqual(enqueue.call_args.args[0], "press_deploy.jobs.roll_back")
			listed = {"sites": {}, "sha256": OTHER_LIST, "total": 1}
			with mock.patch.object(jobs.runners, "read_losses", return_value=listed) as read_losses:
				self.assertRaises(Refused, jobs.roll_back, **asked)
			self.assertEqual(read_losses.call_args.kwargs, {"unless_read": LIST})
			answer = api.work(name)
			self.assertEqual((answer["state"], answer["result"]["sha256"]), ("failed", OTHER_LIST))
			self.assertIn("another list now", answer["error"])
			self.assertFalse(self.started)
			self.assertEqual(read_requests(run, set()), [])
			with mock.patch.object(jobs.runners, "read_losses", return_value=None):
				jobs.roll_back(**asked)
			self.assertEqual(api.work(name)["result"], {"run": run.name})
			(started,) = self.started
			self.assertEqual(started[:2], ("resume" if records is opened else "rollback", run.name))
			if records is not opened:
				self.assertEqual(started[-3:], ("--database", f"--approve={LIST}", "--compared"))
			self.started.clear()

	@mock.patch.object(api, "check_way_back")
	def test_a_migrated_run_is_not_rolled_back_before_its_losses_were_read(self, _listable):
		run = self.make(
			*step_done("maintenance"), *step_done("migrate"), *step_done("open", "open"), ended("Succeeded")
		)
		self.assertTrue(api.progress(run.name)["database_goes_along"])
		with self.assertRaisesRegex(frappe.ValidationError, "reads first what would be lost"):
			api.roll_back(run.name, "why")
		self.assertFalse(self.started)

	def test_a_list_that_can_not_be_made_says_why(self):
		run = self.make(ended("Succeeded"))
		refused = Refused("Listing", run.name, "there is no standby", "restore by hand")
		with mock.patch.object(jobs.runners, "read_losses", side_effect=refused):
			self.assertRaises(Refused, jobs.list_losses, run=run.name, user=MANAGER)
		answer = api.work(f"press-deploy-losses-{run.name}")
		self.assertEqual((answer["state"], answer["result"]), ("failed", None))
		self.assertIn("there is no standby", answer["error"])
		told = frappe.get_all("Notification Log", {"for_user": MANAGER}, pluck="email_content")
		self.assertTrue(any("there is no standby" in each for each in told))

	def test_names_of_runs(self):
		for name in ("../../etc", "x; rm", "--help", "", "A" * 100, "nonsense", "a\0b"):
			for ask in (api.progress, api.abort, api.resume, api.report, api.losses):
				with self.subTest(name=name[:20]):
					self.assertRaises(frappe.ValidationError, ask, name)

	def test_progress_reads_the_journal_and_not_the_record(self):
		run = self.make(*step_done("preflight", "preflight"))
		self.write_journal(run, *step_done("maintenance", found="closed"))
		run.step_log("maintenance").write_text("".join(f"line {number}\n" for number in range(100)))
		progress = api.progress(run.name)
		self.assertEqual((progress["phase"], progress["step"]), ("deploy", "Maintenance"))
		self.assertEqual(progress["log"], [f"line {number}" for number in range(50, 100)])
		self.assertTrue(0 < progress["percent"] < 100)
		self.assertTrue(progress["unfinished"])
		self.assertFalse(progress["alive"])

	def test_the_report_is_a_download(self):
		run = self.make(ended("Succeeded"))
		self.assertRaises(frappe.ValidationError, api.report, run.name)
		run.report_html.write_text("<h1>report</h1>")
		with self.user(VIEWER):
			api.report(run.name)
		response = frappe.local.response
		self.assertEqual((response.type, response.filecontent), ("download", b"<h1>report</h1>"))

	# --- what the scheduler does ---------------------------------------------------------------

	def test_orphans_are_resumed_and_those_who_wait_are_left_alone(self):
		self.make(ended("Succeeded"))
		self.make(WAITING)
		self.make_run("Never started")
		jobs.resume_orphaned_runs()
		self.assertFalse(self.started)
		orphan = self.make(*step_done("maintenance"))
		jobs.resume_orphaned_runs()
		self.assertEqual(self.started, [("resume", orphan.name)])

	def test_a_run_that_only_waits_on_after_its_deadline_is_left_alone(self):
		run = self.make(waits("wait", 1.0))
		for _tick in range(3):
			jobs.resume_orphaned_runs()
		self.assertFalse(self.started)
		put_request(run, "go", "ada", "it is well")
		jobs.resume_orphaned_runs()
		self.assertEqual(self.started, [("resume", run.name)])

	def test_a_request_that_nobody_took_starts_a_runner_before_the_deadline(self):
		run = self.make(WAITING)
		request = put_request(run, "abort", "ada", "enough")
		jobs.resume_orphaned_runs()
		self.assertEqual(self.started, [("resume", run.name)])
		self.write_journal(run, ("request-taken", vars(request)))
		jobs.resume_orphaned_runs()
		self.assertEqual(len(self.started), 1)

	def test_a_run_nobody_decided_about_goes_on(self):
		run = self.make(OVER_DUE)
		jobs.resume_orphaned_runs()
		self.assertEqual(self.started, [("resume", run.name)])
