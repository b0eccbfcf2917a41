# Copyright (c) 2026, press_deploy contributors and contributors
# See license.txt
"""Figures are on the disk before they are in a record, and survive the database."""

import json
import shutil
from contextlib import contextmanager
from datetime import datetime, timezone
from unittest import mock

import frappe

from press_deploy import jobs
from press_deploy.engine.bench.answer import Answer
from press_deploy.patches import keep_follow_ups_on_disk
from press_deploy.site import follow_up
from press_deploy.site.follow_up_figures import FILE_NAME, read_figures
from press_deploy.site.records import project
from press_deploy.site.testing import DeploymentTestCase, created, ended

IGNORE_TEST_RECORD_DEPENDENCIES = ["User", "Deployment Plan"]
test_ignore = IGNORE_TEST_RECORD_DEPENDENCIES


class TestDeploymentFollowUp(DeploymentTestCase):
	def make(self, *records, title="Test plan"):
		run = self.make_run(title)
		self.write_journal(run, created(run), *records)
		project(str(run.path))
		return run

	def content(self, doctype, name):
		record = frappe.get_doc(doctype, name).as_dict(no_default_fields=True, no_nulls=True)
		return json.dumps(record, default=str, sort_keys=True)

	def test_the_follow_up_records_a_figure_a_day_and_closes(self):
		run = self.make(ended("Succeeded"))
		answers = [Answer(0, 200, "good", 10.0)] * 9 + [Answer(0, 503, "503", 1.0)]
		with mock.patch.object(follow_up, "fetch", side_effect=answers):
			jobs.follow_up_runs()
		record = frappe.get_doc("Deployment Run", run.name)
		row = record.follow_up[0]
		self.assertEqual((row.latency_ms, row.bad_answers, record.follow_up_status), (10.0, 1, "Open"))
		last_day = frappe.utils.add_days(frappe.utils.now_datetime(), 7).astimezone(timezone.utc)
		with self.sampled_at(last_day), mock.patch.object(follow_up, "fetch", side_effect=answers):
			jobs.follow_up_runs()
			jobs.follow_up_runs()
		record.reload()
		self.assertEqual((len(record.follow_up), record.follow_up_status), (2, "Closed"))

	def test_figures_survive_a_new_projection(self):
		run = self.make(ended("Succeeded"))
		with mock.patch.object(follow_up, "fetch", return_value=Answer(0, None, "refused", 1.0)):
			jobs.follow_up_runs()
		self.write_journal(run, ("note", {"text": "later"}))
		project(str(run.path))
		record = frappe.get_doc("Deployment Run", run.name)
		self.assertEqual((len(record.follow_up), record.follow_up[0].bad_answers), (1, 10))

	@contextmanager
	def sampled_at(self, moment):
		with mock.patch.object(follow_up, "datetime", wraps=datetime) as clock:
			clock.now.return_value = moment
			yield

	def follow(self, run, samples=2):
		with mock.patch.object(follow_up, "fetch", return_value=Answer(0, 200, "good", 12.5)):
			for _number in range(samples):
				follow_up.take_sample(run.name)

	def test_a_database_that_came_back_older_gets_its_follow_up_back(self):
		run = self.make(ended("Succeeded"))
		self.follow(run, 1)
		self.follow(run, 2)
		newer = self.content("Deployment Run", run.name)
		# What `bench restore` leaves: the record of before, and nothing of what came later.
		kept = frappe.get_doc("Deployment Run", run.name).follow_up[0].name
		frappe.db.delete("Deployment Follow Up", {"parent": run.name, "name": ("!=", kept)})
		frappe.db.set_value("Deployment Run", run.name, "follow_up_until", "2020-01-01")
		self.assertEqual(frappe.db.count("Deployment Follow Up", {"parent": run.name}), 1)
		jobs.repair_records()
		self.assertEqual(self.content("Deployment Run", run.name), newer)
		self.assertEqual(frappe.db.count("Deployment Follow Up", {"parent": run.name}), 3)
		jobs.repair_records()
		self.assertEqual(self.content("Deployment Run", run.name), newer)

	def test_a_follow_up_that_was_lost_wholly_is_written_again_with_its_last_day(self):
		settings = frappe.get_single("Deployment Settings")
		run = self.make(ended("Succeeded"))
		self.follow(run)
		before = self.content("Deployment Run", run.name)
		frappe.delete_doc("Deployment Run", run.name, force=True)
		# The setting may have come back older, too.
		with mock.patch("frappe.get_cached_doc", return_value=settings):
			settings.follow_up_days = 30
			jobs.repair_records()
		self.assertEqual(self.content("Deployment Run", run.name), before)

	def test_what_a_run_keeps_stays_for_as_many_days_as_the_settings_say(self):
		settings = frappe.get_single("Deployment Settings")
		settings.follow_up_days = 30
		with (
			mock.patch("press_deploy.jobs.tidy") as tidy,
			mock.patch("press_deploy.jobs.project_backups"),
			mock.patch("frappe.get_cached_doc", return_value=settings),
		):
			jobs.tidy_backups()
		self.assertEqual(tidy.call_args.kwargs["follow_up_days"], 30)

	def test_a_figure_whose_record_was_not_written_is_shown_by_the_next_tick(self):
		run = self.make(ended("Succeeded"))
		with mock.patch.object(follow_up, "project", side_effect=KeyboardInterrupt) as killed:
			self.assertRaises(KeyboardInterrupt, self.follow, run, 1)
		self.assertTrue(killed.called)
		self.assertEqual(frappe.db.count("Deployment Follow Up", {"parent": run.name}), 0)
		jobs.repair_records()
		self.assertEqual(frappe.db.count("Deployment Follow Up", {"parent": run.name}), 1)

	def test_a_torn_line_is_no_figure_and_spoils_none(self):
		run = self.make(ended("Succeeded"))
		self.follow(run, 1)
		path = run.path / FILE_NAME
		whole = path.read_text()
		path.write_text(whole + whole.splitlines()[-1][:20])
		self.follow(run, 1)
		self.assertEqual(len(read_figures(run).rows), 2)
		self.assertEqual(frappe.db.count("Deployment Follow Up", {"parent": run.name}), 2)
		self.assertEqual(path.stat().st_mode & 0o777, 0o600)

	def test_a_run_whose_directory_is_gone_does_not_stop_the_others(self):
		gone, there = self.make(ended("Succeeded")), self.make(ended("Succeeded"), title="Another")
		shutil.rmtree(gone.path)
		with mock.patch.object(follow_up, "fetch", return_value=Answer(0, 200, "good", 12.5)):
			jobs.follow_up_runs()
		self.assertEqual(frappe.db.count("Deployment Follow Up", {"parent": gone.name}), 0)
		self.assertEqual(frappe.db.count("Deployment Follow Up", {"parent": there.name}), 1)

	def test_follow_ups_from_before_are_brought_to_the_disk_once(self):
		run = self.make(ended("Succeeded"))
		self.follow(run)
		before = self.content("Deployment Run", run.name)
		(run.path / FILE_NAME).unlink()
		for _time in range(2):
			keep_follow_ups_on_disk.execute()
		self.assertEqual(len(read_figures(run).rows), 2)
		jobs.repair_records()
		self.assertEqual(self.content("Deployment Run", run.name), before)
