"""Telling people: a mail, and a notification in Desk for those who are users of the site.

Invariant: a message that can't be sent never stops a deployment.
"""

from __future__ import annotations

import frappe
from frappe.utils import escape_html, validate_email_address


def notify(recipients: list[str], subject: str, message: str) -> dict:
	"""Send plain text to mail addresses or user names. Returns {"sent": n} and {"problem"} if there is one."""
	addresses = [address for address in map(_address_of, recipients) if address]
	problems = [f"no mail address: {name}" for name in recipients if not _address_of(name)]
	sent = 0
	try:
		_tell_in_desk(recipients, subject, message)
		if addresses:
			frappe.sendmail(recipients=addresses, subject=subject, message=_as_html(message), delayed=True)
			sent = len(addresses)
		frappe.db.commit()
	except Exception as error:
		frappe.db.rollback()
		problems.append(frappe.utils.strip_html(str(error)) or type(error).__name__)
	return {"sent": sent, **({"problem": "; ".join(problems)} if problems else {})}


def _address_of(recipient: str) -> str | None:
	if validate_email_address(recipient):
		return recipient
	return frappe.db.get_value("User", {"name": recipient, "enabled": 1}, "email")


def _tell_in_desk(recipients: list[str], subject: str, message: str) -> None:
	either = [["name", "in", recipients], ["email", "in", recipients]]
	for user in frappe.get_all("User", filters={"enabled": 1}, or_filters=either, pluck="name"):
		log = {"doctype": "Notification Log", "for_user": user, "type": "Alert"}
		frappe.get_doc({**log, "subject": subject, "email_content": _as_html(message)}).insert(
			ignore_permissions=True
		)


def _as_html(text: str) -> str:
	return "<br>".join(escape_html(line) for line in text.splitlines())
