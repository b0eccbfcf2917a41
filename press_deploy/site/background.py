"""Work that people start in Desk and that takes long: a job, whose lines and outcome can be asked for.

Invariant: work that ended without an answer, because its worker was killed or its job is lost, is said to
have failed; it never stays “at work”.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import frappe
import psutil
from frappe import _
from frappe.utils.background_jobs import get_job_status, is_job_enqueued

from press_deploy.engine.ground.errors import DeployError
from press_deploy.site.notifications import notify

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
KEPT_SECONDS = 86_400
LINES_KEPT = 100
LIMIT_SECONDS = 6 * 3600
EVENT = "press_deploy_work"
_NAME = re.compile(r"press-deploy-[a-z0-9.-]{1,150}\Z")


@dataclass
class Work:
	"""One piece of work; whoever says something on it is heard by everybody who asks."""

	name: str
	state: str = QUEUED
	lines: list[str] = field(default_factory=list)
	result: Any = None
	error: str = ""
	# The process at work: its host, number, and the moment it began, as numbers are given again.
	owner: tuple[str, int, float] | None = None

	def say(self, line: str) -> None:
		self.lines = [*self.lines, line][-LINES_KEPT:]
		self.keep()

	def keep(self) -> None:
		frappe.cache.set_value(_key(self.name), asdict(self), expires_in_sec=KEPT_SECONDS)
		frappe.publish_realtime(EVENT, {"work": self.name, "state": self.state}, user=frappe.session.user)


def begin(name: str, method: str, **arguments: Any) -> dict[str, str]:
	"""Queue a function of `press_deploy.jobs`, unless the same is at work already. Returns {"work": its name}."""
	name = f"press-deploy-{name}"
	if not is_job_enqueued(name):
		Work(name).keep()
		frappe.enqueue(
			f"press_deploy.jobs.{method}",
			queue="long",
			timeout=LIMIT_SECONDS,
			job_id=name,
			deduplicate=True,
			**arguments,
		)
	return {"work": name}


@contextmanager
def working(name: str, recipients: list[str], title: str, *, tells_success: bool = True) -> Iterator[Work]:
	"""In the job: keeps what is said and how it ends, and notifies `recipients`. An error goes on as it is."""
	process = psutil.Process()
	work = Work(
		f"press-deploy-{name}", RUNNING, owner=(socket.gethostname(), process.pid, process.create_time())
	)
	work.keep()
	# An open transaction would keep tables from being renamed for as long as this takes.
	frappe.db.commit()
	try:
		yield work
	except BaseException as error:
		frappe.db.rollback()
		work.state, work.error = FAILED, _explain(error)
		work.keep()
		notify(recipients, _("{0}: failed").format(title), work.error)
		raise
	work.state = DONE
	work.keep()
	if tells_success:
		notify(recipients, _("{0}: done").format(title), "\n".join(work.lines[-5:]))


def describe_work(name: str) -> dict[str, Any]:
	"""{"state": queued, running, done or failed, "lines", "result", "error"} of work that was begun."""
	if not _NAME.match(name):
		frappe.throw(_("There is no such work."))
	kept = _read(name)
	if kept.state in (QUEUED, RUNNING) and not _is_alive(kept):
		# It may have ended between the two questions.
		kept = _read(name)
		if kept.state in (QUEUED, RUNNING):
			kept.state = FAILED
			kept.error = _("The job ended without an answer. See the Error Log, and start it again.")
	return {key: getattr(kept, key) for key in ("state", "lines", "result", "error")}


def _is_alive(work: Work) -> bool:
	if work.owner and work.owner[0] == socket.gethostname():
		# A worker that was killed leaves its job “started” for hours.
		try:
			return psutil.Process(work.owner[1]).create_time() == work.owner[2]
		except psutil.Error:
			return False
	status = get_job_status(work.name)
	return str(getattr(status, "value", status)) in ("queued", "started", "deferred", "scheduled")


def _read(name: str) -> Work:
	# Frappe 16 remembers for the length of a request what another process has changed since.
	frappe.local.cache.pop(frappe.cache.make_key(_key(name)), None)
	kept = frappe.cache.get_value(_key(name), expires=True)
	# A cache that was emptied meanwhile says nothing; the job itself may.
	return Work(**kept) if kept else Work(name, RUNNING)


def _key(name: str) -> str:
	return f"press_deploy_work:{name}"


def _explain(error: BaseException) -> str:
	if isinstance(error, DeployError):
		return str(error)
	return f"{type(error).__name__}: {frappe.utils.strip_html(str(error))}".strip(": ")
