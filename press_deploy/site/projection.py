"""What may be written into records that only mirror a journal.

Invariant: nobody but `site.records` and `site.follow_up` writes them, Administrator included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import frappe
from frappe import _

if TYPE_CHECKING:
	from frappe.model.document import Document


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
			_("{0} is written from the journal of the run. Start a Deployment Plan instead.").format(
				_(document.doctype)
			),
			frappe.PermissionError,
		)
