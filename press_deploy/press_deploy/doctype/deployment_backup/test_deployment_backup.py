# Copyright (c) 2026, press_deploy contributors and contributors
# See license.txt

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from unittest import mock

import frappe

from press_deploy import api, jobs
from press_deploy.engine.backup import catalogue
from press_deploy.engine.backup.rungs import Proof, Rung
from press_deploy.engine.databases.backup_files import MADE, MANIFEST
from press_deploy.engine.ground.errors import Refused, StepFailed
from press_deploy.site import background, backup_records, proofs
from press_deploy.site.testing import MANAGER, STRANGER, VIEWER, DeploymentTestCase, created

IGNORE_TEST_RECORD_DEPENDENCIES = ["Deployment Run", "User"]
test_ignore = IGNORE_TEST_RECORD_DEPENDENCIES

BROKEN = StepFailed("Proving", "the dump", "it <b>ends</b> inside a statement", "make another one")


class TestDeploymentBackup(DeploymentTestCase):
	def setUp(self):
		super().setUp()
		(self.bench / "sites" / frappe.local.site / "private").mkdir(parents=True)

	def make(self, made="2026-11-23T10:00:00+00:00", site=None, rung=Rung.WHOLE, directory=None):
		"""A backup on disk as the engine leaves it, proven up to a rung."""
		site = site or frappe.local.site
		name = made[:19].replace(":", "")
		directory = directory or self.bench / "deployments" / catalogue.BACKUPS / site / name
		directory.mkdir(parents=True)
		dump = directory / "database.sql.gz"
		dump.write_bytes(b"x" * 1_500_000)
		files = [{"kind": "database", "path": str(dump)}]
		facts = {"site": site, "made": made, "method": "stream", "reason": "fast", "files": files}
		(directory / MADE).write_text(json.dumps(facts))
		(directory / MANIFEST).write_text(json.dumps({"files": []}))
		for passed in list(Rung)[1 : rung + 1]:
			seen = (
				{"places": [{"place": "/backup/safe", "files": 4}]}
				if passed is Rung.SAFE
				else {"tables": 231}
			)
			Proof.load(directory).record(passed, seen)
		return directory

	def names(self):
		return frappe.get_all(
			"Deployment Backup", {"directory": ("like", f"{self.bench}%")}, pluck="name", order_by="name"
		)

	def record(self):
		(name,) = self.names()
		return frappe.get_doc("Deployment Backup", name)

	# --- the projection ------------------------------------------------------------------------

	def test_a_backup_is_shown_with_its_rung_and_the_evidence(self):
		self.make(rung=Rung.RESTORABLE)
		jobs.repair_records()
		record = self.record()
		self.assertEqual(record.name, f"{frappe.local.site}-20261123-100000")
		self.assertEqual((record.rung, record.method, record.megabytes), ("4 restorable", "stream", 1.5))
		self.assertEqual(record.safe_places, "/backup/safe")
		outcomes = [(row.rung, row.outcome) for row in record.proof]
		self.assertEqual(outcomes[3:], [("4 restorable", "Passed"), ("5 bootable", "Not Tried")])
		self.assertEqual(record.proof[1].evidence, "tables: 231")

	def test_a_backup_is_not_called_better_than_its_rung(self):
		directory = self.make(rung=Rung.RESTORABLE)
		Proof.load(directory).record_failure(Rung.SAFE, "reading again", "the bucket lost it")
		jobs.repair_records()
		record = self.record()
		self.assertEqual(record.rung, "2 whole")
		self.assertEqual(record.proof[2].outcome, "Failed")
		self.assertEqual(record.proof[2].evidence, "reading again: the bucket lost it")
		self.assertFalse(record.safe_places)

	def test_a_proof_of_other_files_is_none(self):
		directory = self.make(rung=Rung.RESTORABLE)
		(directory / MANIFEST).write_text(json.dumps({"files": ["others"]}))
		jobs.repair_records()
		record = self.record()
		self.assertEqual(record.rung, "1 made")
		self.assertEqual([row.outcome for row in record.proof[1:4]], ["Not Tried"] * 3)

	def test_a_record_that_is_lost_or_behind_is_written_again_and_nothing_twice(self):
		directory = self.make()
		self.make("2026-11-23T11:00:00+00:00")
		jobs.repair_records()
		before = self.names()
		self.assertEqual(len(before), 2)
		# What `bench restore` leaves: one record too few, and one of before its proof.
		frappe.delete_doc("Deployment Backup", before[1], force=True)
		Proof.load(directory).record(Rung.SAFE)
		jobs.repair_records()
		self.assertEqual(self.names(), before)
		self.assertEqual(frappe.db.get_value("Deployment Backup", before[0], "rung"), "3 safe")
		modified = frappe.get_all("Deployment Backup", {"name": ("in", before)}, pluck="modified")
		jobs.repair_records()
		again = frappe.get_all("Deployment Backup", {"name": ("in", before)}, pluck="modified")
		self.assertEqual(modified, again)

	def test_a_backup_that_is_gone_is_shown_no_more(self):
		directory = self.make()
		jobs.repair_records()
		self.assertEqual(len(self.names()), 1)
		traces = [frappe.db.count(doctype) for doctype in ("Deleted Document", "Comment")]
		shutil.rmtree(directory)
		jobs.repair_records()
		self.assertEqual(self.names(), [])
		self.assertEqual([frappe.db.count(doctype) for doctype in ("Deleted Document", "Comment")], traces)

	def test_backups_of_the_same_second_have_names_of_their_own(self):
		self.make()
		run = self.make_run()
		self.write_journal(run, created(run))
		self.make(directory=run.backup / frappe.local.site)
		jobs.repair_records()
		self.assertEqual(len(self.names()), 2)
		runs = frappe.get_all("Deployment Backup", {"name": ("in", self.names())}, pluck="run")
		self.assertEqual({*runs}, {None, run.name})

	def test_backups_of_other_sites_are_shown_where_their_runs_are(self):
		self.make(site="other.localhost")
		jobs.repair_records()
		self.assertEqual(self.names(), [])
		run = self.make_run()
		self.write_journal(run, created(run))
		self.make(site="other.localhost", directory=run.backup / "other.localhost")
		jobs.repair_records()
		self.assertEqual((self.record().site, self.record().run), ("other.localhost", run.name))

	def test_what_is_no_backup_is_passed_over(self):
		self.make(made="yesterday")
		(self.make("2026-11-23T12:00:00+00:00") / MADE).write_text("{")
		jobs.repair_records()
		self.assertEqual(self.names(), [])

	def test_it_is_seen_and_never_written_by_hand(self):
		for user in (MANAGER, VIEWER):
			with self.user(user):
				self.assertTrue(frappe.has_permission("Deployment Backup", "read"))
				for right in ("write", "create", "delete"):
					self.assertFalse(frappe.has_permission("Deployment Backup", right), right)
		record = frappe.get_doc(
			{"doctype": "Deployment Backup", "__newname": "by-hand", "rung": "4 restorable"}
		)
		self.assertRaises(frappe.PermissionError, record.insert)

	def test_one_record_that_cannot_be_saved_leaves_the_others_alone(self):
		self.make()
		self.make("2026-11-23T11:00:00+00:00")
		self.make("2026-11-23T12:00:00+00:00")
		save, refused = backup_records.save_projection, []

		def save_or_refuse(record):
			# By its name, which is in UTC: in the site's own time another one may have been made at eleven.
			if "-110000" in record.name:
				refused.append(record.name)
				frappe.throw("no")
			save(record)

		with mock.patch.object(backup_records, "save_projection", save_or_refuse):
			jobs.repair_records()
		self.assertEqual((len(refused), len(self.names())), (1, 2))
		jobs.repair_records()
		self.assertEqual(len(self.names()), 3)

	def test_backups_are_repaired_whatever_happens_to_runs(self):
		self.make()
		with mock.patch.object(jobs, "project_all", side_effect=OSError("no")):
			self.assertRaises(OSError, jobs.repair_records)
		self.assertEqual(len(self.names()), 1)

	# --- the buttons and the daily proof -------------------------------------------------------

	def prove(self, job, **catalogue_does):
		with mock.patch.object(catalogue, "prove_latest", **catalogue_does) as prove_latest:
			job()
		self.assertTrue(prove_latest.called)

	def told(self, user, subject):
		return [
			each.email_content
			for each in frappe.get_all("Notification Log", {"for_user": user}, ["subject", "email_content"])
			if subject in each.subject
		]

	def test_the_buttons_queue_their_work_once(self):
		with mock.patch.object(background.frappe, "enqueue") as enqueue:
			self.assertEqual(api.back_up_now(), {"work": "press-deploy-backup"})
			self.assertEqual(api.prove_latest_backup(), {"work": "press-deploy-proof"})
			with mock.patch.object(background, "is_job_enqueued", return_value=True):
				api.back_up_now()
		methods = [call.args[0] for call in enqueue.call_args_list]
		self.assertEqual(methods, ["press_deploy.jobs.back_up", "press_deploy.jobs.prove"])
		for method in methods:
			self.assertTrue(callable(frappe.get_attr(method)))

	def test_a_backup_that_was_asked_for_is_told_and_shown(self):
		def back_up(bench, site, say):
			say("412 MB of 1.0 GB")
			return self.make(site=site)

		with mock.patch.object(catalogue, "back_up_site", side_effect=back_up):
			jobs.back_up(user=MANAGER)
		answer = api.work("press-deploy-backup")
		self.assertEqual((answer["state"], answer["lines"]), ("done", ["412 MB of 1.0 GB"]))
		self.assertEqual(self.record().rung, "2 whole")
		self.assertTrue(self.told(MANAGER, "done"))

	def test_a_backup_that_failed_is_told(self):
		failed = StepFailed("Dumping", "the database", "the disk is full", "free space")
		with mock.patch.object(catalogue, "back_up_site", side_effect=failed):
			self.assertRaises(StepFailed, jobs.back_up, user=MANAGER)
		answer = api.work("press-deploy-backup")
		self.assertEqual(answer["state"], "failed")
		self.assertIn("the disk is full", answer["error"])
		self.assertIn("the disk is full", self.told(MANAGER, "failed")[0])

	def test_work_whose_process_was_killed_has_failed(self):
		child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
		process = background.psutil.Process(child.pid)
		owner = (os.uname().nodename, child.pid, process.create_time())
		background.Work("press-deploy-backup", background.RUNNING, owner=owner).keep()
		self.assertEqual(api.work("press-deploy-backup")["state"], "running")
		child.kill()
		child.wait()
		answer = api.work("press-deploy-backup")
		self.assertEqual(answer["state"], "failed")
		self.assertIn("without an answer", answer["error"])

	def test_work_that_nobody_began_is_not_at_work(self):
		self.assertEqual(api.work("press-deploy-nonsense")["state"], "failed")
		for name in ("", "x", "press-deploy-../x", "press-deploy-\n", "press-deploy-" + "x" * 200):
			self.assertRaises(frappe.ValidationError, api.work, name)

	def test_a_proof_that_passed_stands_in_the_settings_and_on_the_workspace(self):
		directory = self.make(rung=Rung.WHOLE)
		self.assertEqual(api.last_proof(), "None yet")

		def prove(bench, site, say):
			Proof.load(directory).record(Rung.RESTORABLE, {"tables": 231})
			return catalogue.find_backups(bench, site)[0]

		self.prove(lambda: jobs.prove(user=MANAGER), side_effect=prove)
		self.assertTrue(api.last_proof().startswith("Passed"))
		self.assertIn("passed", frappe.get_single("Deployment Settings").last_proof)
		# It was not copied off, so that it stands no higher.
		self.assertTrue(api.newest_backup().startswith("2 whole"))
		self.assertEqual(self.record().proof[3].outcome, "Passed")
		self.assertEqual(api.work("press-deploy-proof")["state"], "done")

	def test_a_daily_proof_that_fails_is_told_to_the_people_of_the_settings(self):
		self.make()
		with mock.patch.object(jobs, "find_people", return_value=[VIEWER]):
			self.assertRaises(StepFailed, self.prove, jobs.prove_by_schedule, side_effect=BROKEN)
		(told,) = self.told(VIEWER, "failed")
		self.assertIn("it &lt;b&gt;ends&lt;/b&gt; inside a statement", told)
		self.assertTrue(api.last_proof().startswith("FAILED"))
		self.assertIn("inside a statement", frappe.get_single("Deployment Settings").last_proof)

	def test_a_proof_that_says_nothing_has_not_passed(self):
		self.make()
		entry = catalogue.find_backups(jobs.runners.open_bench(), frappe.local.site)[0]
		self.assertRaises(StepFailed, self.prove, lambda: jobs.prove(user=MANAGER), return_value=entry)
		last = proofs.read_last_proof(jobs.runners.open_bench())
		self.assertEqual((last.passed, last.why), (False, "rung 4 (restorable) was not tried"))

	def test_a_proof_without_any_backup_has_not_passed(self):
		self.assertRaises(Refused, jobs.prove, user=MANAGER)
		self.assertTrue(api.last_proof().startswith("FAILED"))

	def test_the_cards_say_how_old_the_backup_is_and_whether_it_was_the_newest(self):
		now = datetime.now(timezone.utc).replace(microsecond=0)
		old = self.make((now - timedelta(days=21)).isoformat(), rung=Rung.RESTORABLE)
		entry = catalogue.find_backups(jobs.runners.open_bench(), frappe.local.site)[0]
		self.prove(lambda: jobs.prove(user=MANAGER), return_value=entry)
		self.assertEqual(api.newest_backup(), "4 restorable, 3 weeks ago")
		self.assertNotIn("not the newest", api.last_proof())
		last_proof = frappe.get_single("Deployment Settings").last_proof
		self.assertIn(f"{old} of 3 weeks ago was restored", last_proof)
		newer = self.make((now - timedelta(days=2)).isoformat())
		self.assertEqual(api.newest_backup(), "2 whole, 2 days ago")
		self.assertTrue(api.last_proof().endswith(", not the newest backup"), api.last_proof())
		last_proof = frappe.get_single("Deployment Settings").last_proof
		self.assertIn(f"the newest is {newer}", last_proof)

	def begin_and_kill(self):
		"""A proof whose process is killed, as by a machine out of memory."""

		def stay(bench, site, say):
			os.kill(os.getpid(), signal.SIGKILL)

		child = os.fork()
		if child == 0:
			with mock.patch.object(catalogue, "prove_latest", side_effect=stay):
				proofs.prove_newest(jobs.runners.open_bench(), print)
			os._exit(0)
		self.assertEqual(os.waitpid(child, 0)[1], signal.SIGKILL)

	def test_a_proof_that_never_ended_is_shown_and_told_once(self):
		entry = (
			self.make(rung=Rung.RESTORABLE)
			and catalogue.find_backups(jobs.runners.open_bench(), frappe.local.site)[0]
		)
		self.prove(lambda: jobs.prove(user=MANAGER), return_value=entry)
		self.begin_and_kill()
		self.assertTrue(api.last_proof().startswith("Never ended"), api.last_proof())
		self.tick(wanted=0)
		self.tick(wanted=0)
		self.assertEqual(len(self.told(VIEWER, "never ended")), 1)
		self.assertTrue(api.last_proof().startswith("FAILED"))
		self.assertIn("was killed", frappe.get_single("Deployment Settings").last_proof)

	def tick(self, wanted):
		"""The daily tick, where Deployment Settings want a proof or not; nothing is really queued."""
		with (
			mock.patch.object(jobs, "find_people", return_value=[VIEWER]),
			mock.patch.object(jobs.frappe.db, "get_single_value", return_value=wanted),
			mock.patch.object(jobs, "begin") as begin,
		):
			jobs.prove_daily()
		self.assertEqual(begin.call_args_list, [mock.call("proof", "prove_by_schedule")] * wanted)

	def test_a_proof_that_no_worker_took_is_told_too(self):
		self.tick(wanted=1)
		self.assertTrue(api.last_proof().startswith("Under way"), api.last_proof())
		self.assertFalse(self.told(VIEWER, "never ended"))
		with mock.patch.object(proofs, "LIMIT_SECONDS", -1):
			self.tick(wanted=1)
		self.assertEqual(len(self.told(VIEWER, "never ended")), 1)

	def test_a_proof_that_is_under_way_is_not_told_to_have_never_ended(self):
		self.make(rung=Rung.RESTORABLE)
		(entry,) = catalogue.find_backups(jobs.runners.open_bench(), frappe.local.site)

		def prove(bench, site, say):
			self.assertTrue(api.last_proof().startswith("Under way"), api.last_proof())
			self.tick(wanted=0)
			return entry

		self.prove(lambda: jobs.prove(user=MANAGER), side_effect=prove)
		self.assertFalse(self.told(VIEWER, "never ended"))
		self.assertTrue(api.last_proof().startswith("Passed"))

	def test_one_proof_is_at_work_at_a_time(self):
		with (
			mock.patch.object(jobs.frappe.db, "get_single_value", return_value=1),
			mock.patch.object(background.frappe, "enqueue") as enqueue,
			mock.patch.object(background, "is_job_enqueued", return_value=True) as asked,
		):
			jobs.prove_daily()
		asked.assert_called_once_with("press-deploy-proof")
		self.assertFalse(enqueue.called)

	def test_the_daily_proof_is_an_option(self):
		settings = frappe.get_single("Deployment Settings")
		with mock.patch.object(jobs.frappe, "enqueue") as enqueue:
			for wanted in (0, 1):
				settings.prove_daily = wanted
				settings.save()
				jobs.prove_daily()
				self.assertEqual(enqueue.call_count, wanted)
		self.assertTrue(callable(frappe.get_attr(enqueue.call_args.args[0])))

	def test_people_are_those_of_the_settings_or_who_may_deploy(self):
		settings = frappe.get_single("Deployment Settings")
		for named, expected in (
			("a@example.com\n\nb@example.com", {"a@example.com", "b@example.com"}),
			("", None),
		):
			settings.notify = named
			settings.save()
			people = {*jobs.find_people()}
			if expected is None:
				self.assertIn(MANAGER, people)
				self.assertNotIn(STRANGER, people)
			else:
				self.assertEqual(people, expected)

	def test_only_those_who_see_deployments_see_the_workspace_figures(self):
		with self.user(VIEWER):
			self.assertEqual(api.newest_backup(), "None yet")
		with self.user(STRANGER):
			self.assertRaises(frappe.PermissionError, api.newest_backup)
			self.assertRaises(frappe.PermissionError, api.last_proof)
