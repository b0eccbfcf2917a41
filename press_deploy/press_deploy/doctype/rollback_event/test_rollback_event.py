# Copyright (c) 2026, press_deploy contributors and contributors
# See license.txt

import frappe

from press_deploy.site.records import project, project_all
from press_deploy.site.testing import (
	MANAGER,
	VIEWER,
	DeploymentTestCase,
	created,
	ended,
	losses,
	step_done,
)

IGNORE_TEST_RECORD_DEPENDENCIES = ["Deployment Run", "User"]
test_ignore = IGNORE_TEST_RECORD_DEPENDENCIES

LIST, OTHER_LIST = "a" * 64, "b" * 64
ORDERS = {"Sales Order": {"created": [f"SO-{number:03}" for number in range(60)], "changed": ["SO-X"]}}


def started(cause="error rate", by=None, database=False):
	data = {"cause": cause, "by": by, "error": None, "database": database, "approves": None}
	return "rollback-started", data


def waiting(sha256):
	return (
		"waiting",
		{
			"reason": "would lose 60 Sales Orders",
			"when_nobody_decides": "keep",
			"accepts_go": True,
			"approve": sha256,
			"step": "lost-documents",
			"deadline": 9e9,
		},
	)


class TestRollbackEvent(DeploymentTestCase):
	def make(self, *records):
		run = self.make_run("Test plan")
		self.write_journal(run, created(run), *records)
		project(str(run.path))
		return run

	def event(self, run, number=1):
		return frappe.get_doc("Rollback Event", f"{run.name}-rollback-{number}")

	def test_it_is_seen_and_never_written_by_hand(self):
		for user in (MANAGER, VIEWER):
			with self.user(user):
				self.assertTrue(frappe.has_permission("Rollback Event", "read"))
				for right in ("write", "create", "delete"):
					self.assertFalse(frappe.has_permission("Rollback Event", right), right)
		event = frappe.get_doc({"doctype": "Rollback Event", "__newname": "by-hand", "cause": "x"})
		self.assertRaises(frappe.PermissionError, event.insert)

	def test_it_carries_what_was_lost_who_approved_it_and_where_it_is_kept(self):
		ways = {"shop.localhost": {"how": "swap", "standby": "s", "quarantine": "shop_quarantine_1"}}
		name, exported = losses(OTHER_LIST, **ORDERS)
		exported["sites"]["shop.localhost"].update(
			singles=["Shop Settings"], other_tables={"tabSeries": 2}, noise={"tabVersion": [1, 9]}
		)
		run = self.make(
			*step_done("migrate"),
			started(by="ada@example.com"),
			losses(LIST, **ORDERS),
			*step_done(
				"lost-documents", "rollback", result={"approved_by": "ada@example.com", "sha256": LIST}
			),
			*step_done("rollback-database", "rollback", before={"sites": ways}),
			(name, {**exported, "files": ["/bench/losses/losses.json", "/bench/losses/Sales Order.csv"]}),
			*step_done("export-losses", "rollback"),
			ended("Rolled Back", "rolled back: error rate"),
		)
		event = self.event(run)
		self.assertEqual((event.outcome, event.with_database), ("Rolled Back", 1))
		self.assertEqual((event.approved_by, event.approved_list), ("ada@example.com", LIST))
		self.assertEqual(event.quarantine, "shop.localhost: shop_quarantine_1")
		self.assertEqual(event.exports.splitlines()[1], "/bench/losses/Sales Order.csv")
		(row,) = event.losses
		self.assertEqual((row.site, row.document_type), ("shop.localhost", "Sales Order"))
		self.assertEqual((row.created, row.changed, row.submitted, row.deleted), (60, 1, 0, 0))
		for name in ("SO-000", "SO-049", "+10", "SO-X"):
			self.assertIn(name, row.names)
		self.assertIn("Shop Settings", event.other_losses)
		self.assertIn("2 rows of table tabSeries", event.other_losses)
		self.assertNotIn("tabVersion", event.other_losses)

	def test_a_long_name_of_who_asked_and_approved_is_cut(self):
		name = "frappe (for " + "é" * 480 + ")"
		run = self.make(
			started(by=name, database=True),
			*step_done("lost-documents", "rollback", result={"approved_by": name, "sha256": LIST}),
			ended("Rolled Back"),
		)
		event = self.event(run)
		self.assertEqual((event.asked_by, event.approved_by), (name[:140], name[:140]))

	def test_a_rollback_that_waits_is_shown_as_one(self):
		run = self.make(started(database=True), losses(LIST, **ORDERS), waiting(LIST))
		event = self.event(run)
		self.assertEqual((event.outcome, event.losses[0].created), ("Waiting", 60))
		self.assertIsNone(event.approved_by)
		self.assertIn("60 Sales Orders", event.reason)

	def test_a_rollback_that_nobody_approved_is_abandoned(self):
		run = self.make(
			started(database=True),
			losses(LIST, **ORDERS),
			waiting(LIST),
			("rollback-abandoned", {"reason": "ada: keep it"}),
			*step_done("rollback-open", "rollback"),
			ended("Succeeded", "not rolled back, the release stays: ada: keep it"),
		)
		event = self.event(run)
		self.assertEqual((event.outcome, event.approved_by), ("Abandoned", None))
		self.assertIn("ada: keep it", event.reason)
		self.assertEqual(frappe.db.get_value("Deployment Run", run.name, "follow_up_status"), "Open")

	def test_it_stays_abandoned_whatever_becomes_of_the_run_that_goes_on(self):
		given_up = [
			started(by="ada"), waiting(LIST), ("rollback-abandoned", {"reason": "nobody approved"}),
			*step_done("rollback-open", "rollback"), ("went-forward", {"reason": "nobody approved"}),
		]  # fmt: skip
		goes_on = self.make(*given_up)
		back = self.make(*given_up, started("error rate"), ended("Rolled Back", "rolled back: error rate"))
		for run in (goes_on, back):
			event = self.event(run)
			self.assertEqual((event.outcome, event.reason), ("Abandoned", "nobody approved"))
		self.assertEqual(frappe.db.get_value("Deployment Run", goes_on.name, "state"), "Running")
		self.assertEqual(self.event(back, 2).outcome, "Rolled Back")

	def test_the_list_of_an_earlier_rollback_is_not_shown_with_a_later_one(self):
		run = self.make(
			started(database=True), losses(LIST, **ORDERS), waiting(LIST),
			("rollback-abandoned", {"reason": "no"}), ended("Succeeded"),
			started("again"), *step_done("back", "rollback"), ended("Rolled Back"),
		)  # fmt: skip
		self.assertEqual(len(self.event(run, 1).losses), 1)
		self.assertEqual(len(self.event(run, 2).losses), 0)

	def test_names_that_fill_the_field_are_cut_and_said_to_be(self):
		names = [f"{number}{'é' * 130}" for number in range(50)]
		actions = {action: names for action in ("created", "changed", "deleted")}
		run = self.make(started(database=True), losses(LIST, **{"N" * 200: actions}), waiting(LIST))
		(row,) = self.event(run).losses
		self.assertEqual(len(row.document_type), 140)
		self.assertTrue(row.names.endswith("…"))

	def test_an_event_alone_that_was_lost_is_written_again(self):
		run = self.make(started(), *step_done("back", "rollback"), ended("Rolled Back"))
		frappe.delete_doc("Rollback Event", f"{run.name}-rollback-1", force=True)
		self.assertEqual(project_all(str(self.bench))["projected"], [run.name])
		self.assertEqual(self.event(run).outcome, "Rolled Back")
		self.assertEqual(project_all(str(self.bench))["projected"], [])
