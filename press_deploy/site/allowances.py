"""What the shell user has not allowed, said at a form: see `engine.bench.allowances`.

Invariant: it is asked of `common_site_config.json` on each save, approval and start; what Frappe has merged into
the site's configuration is not asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import frappe
from frappe import _

from press_deploy.engine.bench.allowances import CONSOLE_TESTS, find_forbidden, forbid_console, is_allowed
from press_deploy.engine.ground.errors import InputError
from press_deploy.site.input_messages import describe, refuse

if TYPE_CHECKING:
	from frappe.model.document import Document

	from press_deploy.engine.bench.bench import Bench
	from press_deploy.engine.plan.spec import PlanSpec

# A draft may name what waits for the shell user: the ready-made plan does.
NAMED_ONLY = ("smoke_tests.", "config.", "sites.", "test_site")


def refuse_forbidden(bench: Bench, spec: PlanSpec) -> None:
	"""Raise the first `InputError` for what the shell user has not allowed."""
	for error in find_forbidden(bench, spec):
		raise error


def check_draft(bench: Bench, spec: PlanSpec, plan: Document) -> None:
	"""Refuse to keep code, and sources of code, that are not allowed; say what else stands in the way of approval."""
	forbidden = find_forbidden(bench, spec)
	for error in forbidden:
		if not error.field.startswith(NAMED_ONLY):
			refuse(error, plan)
	if forbidden:
		said = "<hr>".join(describe(error, plan) for error in forbidden)
		frappe.msgprint(said, title=_("Before This Can Be Approved"), indicator="orange")


def describe_forbidden(bench: Bench, spec: PlanSpec, plan: Document) -> list[str]:
	"""Everything in a plan that is not allowed, as messages for its form."""
	return [describe(error, plan) for error in find_forbidden(bench, spec)]


def find_forbidden_test(bench: Bench, test: Document) -> InputError | None:
	"""Why a Smoke Test may not be written now; None when it may."""
	if test.kind != "console" or is_allowed(bench, CONSOLE_TESTS):
		return None
	return forbid_console("kind", "console", bench.read_common_config().get(CONSOLE_TESTS))
