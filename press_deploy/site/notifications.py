"""Telling people, for this app's doors: what its channels need of Frappe, and whom to tell.

Invariant: a message that can't be sent never stops a deployment.
"""

from __future__ import annotations

from collections.abc import Callable

import frappe
from frappe.utils import validate_email_address

from press_deploy.engine.channels import tell
from press_deploy.engine.channels.base import Message


def notify(recipients: list[str], subject: str, message: str, at_once: bool = False) -> dict:
	"""Send plain text to mail addresses or user names. Returns {"sent": n} and {"problem"} if there is one.

	`at_once`: mail goes out before this returns, where else Frappe's scheduler would send it.
	"""
	told = tell(_Desk(), recipients, Message(subject, message, at_once))
	return {"sent": told.sent, **({"problem": "; ".join(told.problems)} if told.problems else {})}


def find_people() -> list[str]:
	"""Whom Deployment Settings name; those who may deploy where they name nobody."""
	named = frappe.db.get_single_value("Deployment Settings", "notify") or ""
	people = [line.strip() for line in named.splitlines() if line.strip()]
	if people:
		return people
	managers = frappe.get_all(
		"Has Role", {"role": "Deployment Manager", "parenttype": "User"}, pluck="parent", distinct=True
	)
	return frappe.get_all("User", {"name": ("in", managers), "enabled": 1}, pluck="name")


class _Desk:
	"""The site that this process is connected to, for `engine.channels`."""

	def find_address(self, recipient: str) -> str | None:
		if validate_email_address(recipient):
			return recipient
		return frappe.db.get_value("User", {"name": recipient, "enabled": 1}, "email")

	def find_users(self, recipients: list[str]) -> list[str]:
		either = [["name", "in", recipients], ["email", "in", recipients]]
		return frappe.get_all("User", filters={"enabled": 1}, or_filters=either, pluck="name")

	def send_mail(self, addresses: list[str], message: Message) -> None:
		frappe.sendmail(
			recipients=addresses,
			subject=message.subject,
			message=message.as_html(),
			delayed=not message.at_once,
		)

	def ring(self, user: str, message: Message) -> None:
		log = {"doctype": "Notification Log", "for_user": user, "type": "Alert"}
		frappe.get_doc({**log, "subject": message.subject, "email_content": message.as_html()}).insert(
			ignore_permissions=True
		)

	def attempt(self, send: Callable[[], None]) -> list[str]:
		try:
			send()
			frappe.db.commit()
		except Exception as error:
			frappe.db.rollback()
			return [frappe.utils.strip_html(str(error)) or type(error).__name__]
		return []
