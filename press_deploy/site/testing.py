"""What the tests beside the DocTypes share: the test case of either Frappe, users, a bench of its own.

Invariant: no test touches the deployments of the bench it runs on, or starts a runner.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import frappe

try:
	from frappe.tests import IntegrationTestCase
except ImportError:  # Frappe 15
	from frappe.tests.utils import FrappeTestCase as IntegrationTestCase

from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.plan.spec import read_plan
from press_deploy.site import runners

MANAGER, VIEWER, STRANGER, ADMIN = (
	f"press-deploy-{name}@example.com" for name in ("manager", "viewer", "stranger", "admin")
)
_ROLES = {
	MANAGER: "Deployment Manager",
	VIEWER: "Deployment Viewer",
	STRANGER: None,
	ADMIN: "System Manager",
}


class DeploymentTestCase(IntegrationTestCase):
	"""A case with one user for each role, whose records are gone afterwards although projecting commits."""

	@classmethod
	def setUpClass(cls):
		super().setUpClass()
		for email, role in _ROLES.items():
			if not frappe.db.exists("User", email):
				_add_user(email, role)
		frappe.db.commit()

	def setUp(self):
		frappe.set_user("Administrator")
		temporary = (
			self.enterContext(tempfile.TemporaryDirectory()) if hasattr(self, "enterContext") else None
		)
		self.bench = Path(temporary or tempfile.mkdtemp())
		for name in ("apps", "sites", "config", "logs"):
			(self.bench / name).mkdir()
		self.started = []
		self.addCleanup(mock.patch.stopall)
		mock.patch.object(runners, "get_bench_path", lambda: str(self.bench)).start()
		mock.patch.object(
			runners, "launch_detached", lambda *arguments: self.started.append(arguments)
		).start()
		mock.patch.object(runners, "find_socket", lambda _path: str(self.bench / "no.sock")).start()

	def tearDown(self):
		frappe.set_user("Administrator")
		frappe.db.rollback()
		runs = frappe.get_all("Deployment Run", {"directory": ("like", f"{self.bench}%")}, pluck="name")
		mine = {
			"Rollback Event": {"run": ("in", runs)},
			"Deployment Run": {"name": ("in", runs)},
			"Deployment Backup": {"directory": ("like", f"{self.bench}%")},
			"Deployment Plan": {"name": ("like", "Test %")},
			"Smoke Test": {"name": ("like", "Test %")},
			"Notification Log": {"for_user": ("in", list(_ROLES))},
		}
		for doctype, filters in mine.items():
			for name in frappe.get_all(doctype, filters, pluck="name"):
				_delete(doctype, name)
		frappe.db.commit()

	@classmethod
	def tearDownClass(cls):
		for email in _ROLES:
			_delete("User", email)
		frappe.db.commit()
		super().tearDownClass()

	def allow(self, **keys) -> None:
		"""Write what the shell user of this bench allows; nothing else stays allowed."""
		(self.bench / "sites" / "common_site_config.json").write_text(json.dumps(keys))

	@contextmanager
	def user(self, name: str) -> Iterator[None]:
		before = frappe.session.user
		frappe.set_user(name)
		try:
			yield
		finally:
			frappe.set_user(before)

	def make_run(self, title: str = "Test plan", **spec) -> RunDirectory:
		"""A run on disk of the smallest plan there is, controlled by this site."""
		site = frappe.local.site
		data = {
			"title": title,
			"sites": [{"name": site}],
			"control_site": site,
			"config": [{"key": "k", "value": 1}],
		}
		return RunDirectory.create(self.bench, read_plan({**data, **spec}))

	def write_journal(self, run: RunDirectory, *records: tuple[str, dict]) -> None:
		"""Append records as the runner would."""
		journal = Journal(run.journal)
		for event, data in records:
			journal.append(event, data)
		journal.close()


def created(run: RunDirectory, dry_run: bool = False) -> tuple[str, dict]:
	return "run-created", {"plan_sha256": run.read_plan().sha256, "run": run.name, "dry_run": dry_run}


def ended(state: str, reason: str = "because") -> tuple[str, dict]:
	return "run-ended", {"state": state, "reason": reason}


def step_done(
	name: str,
	phase: str = "deploy",
	found: str = "there",
	before: dict | None = None,
	result: dict | None = None,
) -> list[tuple[str, dict]]:
	about = {"step": name, "phase": phase, "title": name.capitalize()}
	return [
		("step-announced", {**about, "before": before or {}}),
		("step-observed", {**about, "result": result or {}, "found": found}),
	]


def losses(sha256: str, site: str = "shop.localhost", **documents: dict) -> tuple[str, dict]:
	"""The record of a list of losses: DocType → {action: [names]}."""
	named = {
		doctype: {action: {"count": len(names), "names": names[:50]} for action, names in actions.items()}
		for doctype, actions in documents.items()
	}
	data = {"schema_version": 1, "documents": named, "singles": [], "other_tables": {}, "noise": {}}
	return "losses", {"sites": {site: data}, "sha256": sha256, "total": 1, "summary": "some", "lines": []}


def _add_user(email: str, role: str | None) -> None:
	roles = [{"role": role}] if role else []
	user = {"doctype": "User", "email": email, "first_name": "Test", "send_welcome_email": 0, "roles": roles}
	frappe.get_doc(user).insert(ignore_permissions=True)


def _delete(doctype: str, name: str) -> None:
	if frappe.db.exists(doctype, name):
		frappe.db.set_value(doctype, name, "docstatus", 0)
		frappe.delete_doc(doctype, name, force=True, ignore_permissions=True, delete_permanently=True)
