"""The engine's errors, said to a person at a form: which field, which value, why, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import frappe
from frappe import _
from frappe.utils import escape_html

from press_deploy.engine.errors import DeployError, InputError, show

if TYPE_CHECKING:
	from frappe.model.document import Document


@contextmanager
def errors_shown(document: Document | None = None) -> Iterator[None]:
	"""Turn an error of the engine in this block into a message; a refused field by its label."""
	try:
		yield
	except DeployError as error:
		refuse(error, document)


def refuse(error: DeployError, document: Document | None = None) -> NoReturn:
	"""Throw the error as a message. What it holds came from people, so it is escaped."""
	frappe.throw(describe(error, document), title=_("Refused"))


def describe(error: DeployError, document: Document | None = None) -> str:
	if not isinstance(error, InputError):
		sentence = _("{0} {1}: {2}.").format(error.doing, error.what, error.why)
		return "<br>".join(escape_html(part) for part in (sentence, error.remedy) if part)
	field = name_field(document, error.field) if document else error.field
	return _("<b>{0}</b>: {1} is refused, because {2}.<br>What to do: {3}.").format(
		*map(escape_html, (field, show(error.value), error.why, error.remedy))
	)


def name_field(document: Document, path: str) -> str:
	"""“apps.0.ref” as the form calls it: “Apps, row 1: Branch, Tag or Commit”."""
	parts = path.split(".")
	label = document.meta.get_label("_".join(parts))
	table = document.meta.get_field(parts[0])
	if len(parts) < 2 or not parts[1].isdigit() or not table or table.fieldtype != "Table":
		return path if label in (None, "No Label") else _(label)
	row = _("{0}, row {1}").format(_(table.label), int(parts[1]) + 1)
	inner = frappe.get_meta(table.options).get_label(parts[-1]) if len(parts) > 2 else None
	known = inner and not re.match(r"No Label", inner)
	return f"{row}: {_(inner)}" if known else f"{row}: {'.'.join(parts[2:])}".rstrip(": ")
