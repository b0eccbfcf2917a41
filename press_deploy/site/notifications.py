"""Telling people: a mail, and a notification in Desk for those who are users of the site.

Invariant: a message that can't be sent never stops a deployment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import frappe
from frappe.utils import escape_html, validate_email_address


def notify(recipients: list[str], subject: str, message: str, at_once: bool = False) -> dict:
	"""Send plain text to mail addresses or user names. Returns {"sent": n} and {"problem"} if there is one.

	`at_once`: mail goes out before this returns, where else Frappe's scheduler would send it.
	"""
	addresses = [address for address in map(_address_of, recipients) if address]
	problems = [f"no mail address: {name}" for name in recipients if not _address_of(name)]
	problems += _attempt(_tell_in_desk, recipients, subject, message)
	# By itself: a site without a mail account still tells its users.
	not_sent = _attempt(_send_mail, addresses, subject, message, at_once) if addresses else []
	problems += not_sent
	return {
		"sent": 0 if not_sent else len(addresses),
		**({"problem": "; ".join(problems)} if problems else {}),
	}


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


def _address_of(recipient: str) -> str | None:
	if validate_email_address(recipient):
		return recipient
	return frappe.db.get_value("User", {"name": recipient, "enabled": 1}, "email")


def _attempt(tell: Callable[..., None], *arguments: Any) -> list[str]:
	"""Tell people in one way; return why it failed."""
	try:
		tell(*arguments)
		frappe.db.commit()
	except Exception as error:
		frappe.db.rollback()
		return [frappe.utils.strip_html(str(error)) or type(error).__name__]
	return []


def _send_mail(addresses: list[str], subject: str, message: str, at_once: bool) -> None:
	frappe.sendmail(recipients=addresses, subject=subject, message=_as_html(message), delayed=not at_once)


def _tell_in_desk(recipients: list[str], subject: str, message: str) -> None:
	either = [["name", "in", recipients], ["email", "in", recipients]]
	for user in frappe.get_all("User", filters={"enabled": 1}, or_filters=either, pluck="name"):
		log = {"doctype": "Notification Log", "for_user": user, "type": "Alert"}
		frappe.get_doc({**log, "subject": subject, "email_content": _as_html(message)}).insert(
			ignore_permissions=True
		)


def _as_html(text: str) -> str:
	return "<br>".join(escape_html(line) for line in text.splitlines())
