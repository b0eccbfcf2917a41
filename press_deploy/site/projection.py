"""What may be written into records that only mirror what is on the disk, and in which words.

Invariant: nobody but the projections writes them, Administrator included.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import frappe
from frappe import _
from frappe.utils import convert_utc_to_system_timezone

from press_deploy.engine.ground.errors import DeployError

if TYPE_CHECKING:
	from frappe.model.document import Document


def open_projection(doctype: str, name: str) -> Document:
	"""The record of this name, or a new one with it."""
	if frappe.db.exists(doctype, name):
		return frappe.get_doc(doctype, name)
	document = frappe.new_doc(doctype)
	document.name = name
	return document


def save_projection(document: Document) -> None:
	"""Insert or save a record that mirrors a journal."""
	document.flags.is_projection = True
	document.flags.ignore_permissions = True
	if document.is_new():
		document.insert(set_name=document.name)
	else:
		document.save()


def refuse_writing_by_hand(document: Document) -> None:
	if not document.flags.is_projection:
		frappe.throw(
			_("{0} mirrors what is on the disk and is not written by hand.").format(_(document.doctype)),
			frappe.PermissionError,
		)


def describe_error(error: dict[str, str] | None) -> str | None:
	if not error:
		return None
	return f"{error['doing']} {error['what']}: {error['why']}\n{error['remedy']}".strip()


def describe_failure(error: Exception) -> str:
	"""Why a record could not be written, for the log."""
	return str(error) if isinstance(error, DeployError) else f"{type(error).__name__}: {error}"


def seconds_between(started: str | None, ended: str | None) -> float | None:
	if not started or not ended:
		return None
	return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()


def to_site_time(moment: str | None) -> datetime | None:
	"""An ISO time with zone as the naive time of the site that Frappe keeps in its database."""
	if not moment:
		return None
	return convert_utc_to_system_timezone(datetime.fromisoformat(moment)).replace(tzinfo=None, microsecond=0)
