"""From the Deployment Plan, a form that people fill in, to the plan spec that the engine executes.

Invariant: the spec is derived from the documents at the moment it is asked for; approval is the hash of a
spec, so that whoever changes a plan, or a Smoke Test it links to, changes the hash.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import frappe
from frappe.utils import cast, cint, get_datetime, get_system_timezone
from pydantic import BaseModel

from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.plan import spec as engine_plan
from press_deploy.engine.plan.backup import Backup
from press_deploy.engine.plan.safe_places import DirectoryPlace, S3Place, SshPlace
from press_deploy.engine.plan.snapshots import Snapshot
from press_deploy.engine.plan.spec import CONSENT, PlanSpec, read_plan

if TYPE_CHECKING:
	from frappe.model.document import Document

_NUMBERS = ("Int", "Float", "Percent", "Check")
SAFE_PLACES: dict[str, type[BaseModel]] = {"directory": DirectoryPlace, "s3": S3Place, "ssh": SshPlace}


def build_spec(plan: Document) -> dict[str, Any]:
	"""The plan as plain data for `engine.plan.read_plan`, not yet validated. Raises `InputError`."""
	settings = frappe.get_cached_doc("Deployment Settings")
	sections = {
		name: _take(PlanSpec.model_fields[name].annotation, plan, f"{name}_")
		for name in ("thresholds", "triggers", "monitor", "drain", "stabilise")
	}
	return {
		"title": plan.name or plan.title or "",
		"objective": plan.objective or "",
		"approved_by": plan.approved_by or None,
		"control_site": frappe.local.site,
		"sites": [_take(engine_plan.Site, row, name=row.site) for row in plan.sites],
		"apps": [_build_app(plan, row) for row in plan.apps],
		"config": [
			_take(engine_plan.ConfigChange, row, value=_parse_json(f"config.{number}.value", row.value))
			for number, row in enumerate(plan.config)
		],
		"requirements": plan.requirements,
		"build": plan.build,
		"migrate": plan.migrate,
		"backup": _build_backup(plan, settings.safe_directory),
		"critical_tests": [_build_critical_test(row) for row in plan.critical_tests],
		"test_site": plan.test_site or None,
		"production_test_consent": CONSENT if plan.production_test_consent else None,
		"smoke_tests": [
			build_smoke_test(frappe.get_doc("Smoke Test", row.smoke_test)) for row in plan.smoke_tests
		],
		"checklist": [_take(engine_plan.ChecklistItem, row) for row in plan.checklist],
		"window": _build_window(plan),
		**sections,
		"inconclusive": plan.inconclusive,
		"decision_seconds": cint(plan.decision_seconds),
		"timeline": [_take(engine_plan.Milestone, row) for row in plan.timeline],
		"people": [_take(engine_plan.Person, row, name=row.full_name or "") for row in plan.people],
		"notify": _lines(plan.notify) or _lines(settings.notify),
	}


def read_parts(data: dict[str, Any]) -> PlanSpec:
	"""The parts of a plan whose whole is not complete yet. Raises `InputError` where a part is wrong."""
	parts = {**data, "critical_tests": []}
	if not parts["apps"] and not parts["config"]:
		parts["config"] = [{"key": "none_yet", "value": None}]
	return read_plan(parts)


def build_smoke_test(test: Document) -> dict[str, Any]:
	"""A Smoke Test as plain data for the spec. Raises `InputError` for a field that is not JSON."""
	if test.kind == "console":
		return _take(engine_plan.ConsoleCheck, test, name=test.name or test.title)
	return _take(
		engine_plan.HttpCheck,
		test,
		name=test.name or test.title,
		headers=_parse_json("headers", test.headers) or {},
		expected_json=_parse_json("expected_json", test.expected_json),
	)


def compute_approval_hash(spec: PlanSpec) -> str:
	"""SHA-256 over what is approved: everything but who ticked what in the checklist."""
	data = spec.as_data()
	for item in data["checklist"]:
		item.update(done=False, done_by=None)
	return read_plan(data).sha256


def _take(model: type[BaseModel], source: Document, prefix: str = "", **given: Any) -> dict[str, Any]:
	"""The fields of a part of the spec, each from the document's field of the same name."""
	data = dict(given)
	for name, field in model.model_fields.items():
		docfield = source.meta.get_field(prefix + name)
		if name in given or not docfield:
			continue
		value = source.get(prefix + name)
		if value is None:
			continue
		if docfield.fieldtype in _NUMBERS:
			value = cast(docfield.fieldtype, value)
		if field.annotation is bool:
			value = bool(value)
		# An empty field, or a number that is 0, is what a form has for “not set”.
		data[name] = None if field.default is None and value in ("", 0) else value
	return data


def _build_backup(plan: Document, default_directory: str | None) -> dict[str, Any]:
	# The form shows the number of a rung with its word: “4 restorable”.
	rung = (plan.backup_required_rung or "").partition(" ")[0]
	backup = _take(
		Backup,
		plan,
		"backup_",
		required_rung=int(rung) if rung.isdigit() else rung or None,
		safe_places=[_build_safe_place(row) for row in plan.backup_safe_places],
		snapshot=_take(Snapshot, plan, "snapshot_") if plan.snapshot_provider else None,
	)
	backup["safe_directory"] = backup.get("safe_directory") or default_directory or None
	return backup


def _build_safe_place(row: Document) -> dict[str, Any]:
	model = SAFE_PLACES.get(row.kind)
	return _take(model, row) if model else {"kind": row.kind}


def _build_app(plan: Document, row: Document) -> dict[str, Any]:
	files = [{"path": file.path, "sha256": file.sha256} for file in plan.files if file.app == row.app]
	spec = _take(engine_plan.App, row, name=row.app, files=files)
	unused = ("source", "ssh_host") if row.method == "git" else ("ref", "expected_commit", "remote")
	return {key: value for key, value in spec.items() if key not in unused}


def _build_critical_test(row: Document) -> dict[str, Any]:
	return {**_take(engine_plan.CriticalTest, row), row.target_type or "module": row.target}


def _build_window(plan: Document) -> dict[str, str] | None:
	if not plan.window_start and not plan.window_end:
		return None
	return {"start": _with_time_zone(plan.window_start), "end": _with_time_zone(plan.window_end)}


def _with_time_zone(moment: str | datetime | None) -> str:
	if not moment:
		raise InputError("window", "", "one end of the maintenance window is missing", "set both, or none")
	return get_datetime(moment).replace(tzinfo=ZoneInfo(get_system_timezone())).isoformat()


def _parse_json(field: str, text: str | None) -> Any:
	if text is None or not str(text).strip():
		return None
	try:
		return json.loads(text, parse_constant=_refuse_constant)
	except ValueError as error:
		raise InputError(field, text, f"it is not JSON ({error})", 'write JSON: true, 3, "text"') from None


def _refuse_constant(name: str) -> None:
	raise ValueError(f"{name} is none of its values")


def _lines(text: str | None) -> list[str]:
	return [line.strip() for line in (text or "").splitlines() if line.strip()]
