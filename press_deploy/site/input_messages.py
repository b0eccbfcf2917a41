"""The engine's errors, said to a person at a form: which field, which value, why, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import frappe
from frappe import _
from frappe.utils import escape_html

from press_deploy.engine.ground.errors import DeployError, InputError, show

if TYPE_CHECKING:
	from frappe.model.document import Document
	from frappe.model.meta import Meta


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
	number = next((place for place, part in enumerate(parts) if part.isdigit()), len(parts))
	table = document.meta.get_field("_".join(parts[:number]))
	if number == len(parts) or not table or table.fieldtype != "Table":
		return _label_of(document.meta, path) or path
	row = _("{0}, row {1}").format(_(table.label), int(parts[number]) + 1)
	rest = parts[number + 1 :]
	inner = _label_of(frappe.get_meta(table.options), rest[-1]) if rest else None
	return f"{row}: {inner or '.'.join(rest)}".rstrip(": ")


def _label_of(meta: Meta, path: str) -> str | None:
	"""What the form calls a field of the spec, or the section with the fields of a whole part of it."""
	name = path.replace(".", "_")
	# The spec has a snapshot within the backup, the form has it beside.
	short = name.removeprefix("backup_")
	for fieldname in (name, short, f"{name}_section", f"{short}_section"):
		field = meta.get_field(fieldname)
		if field and field.label:
			return _(field.label)
	return None
