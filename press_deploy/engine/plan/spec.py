"""The plan spec: what a run executes, as plain data, validated, frozen and hashed.

Invariant: a spec that exists is valid; its SHA-256 is over the canonical JSON, so two equal plans have
equal hashes and a changed plan never passes for the approved one. A plan of an earlier version keeps its hash:
fields that came later count only where they are not left at their default.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from press_deploy.engine.ground import inputs
from press_deploy.engine.ground.canonical import canonical_json
from press_deploy.engine.ground.errors import InputError, show
from press_deploy.engine.plan.backup import Backup
from press_deploy.engine.plan.fields import (
	AbsolutePath,
	Action,
	AppName,
	Frozen,
	Instant,
	Line,
	Percent,
	PythonCode,
	RelativePath,
	SiteName,
	Text,
	When,
)

SCHEMA_VERSION = 1
PLAN_SIZE_LIMIT = 1_000_000
# (part, field) of what plans of earlier versions don't have; see `PlanSpec.sha256`.
ADDED_FIELDS = (("drain", "foreign_seconds"),)


class Site(Frozen):
	name: SiteName
	public_url: Annotated[str, AfterValidator(inputs.base_url)] | None = None


class CopiedFile(Frozen):
	path: RelativePath
	sha256: Annotated[str, AfterValidator(inputs.sha256)]


class App(Frozen):
	"""One app of the release: by git (`ref`), or by a copy of single files (`source`, `files`)."""

	name: AppName
	method: Literal["git", "copy"] = "git"
	remote: Annotated[str, AfterValidator(inputs.app)] = "upstream"
	ref: Annotated[str, AfterValidator(inputs.ref)] | None = None
	expected_commit: Annotated[str, AfterValidator(inputs.commit)] | None = None
	source: AbsolutePath | None = None
	ssh_host: Annotated[str, AfterValidator(inputs.ssh_host)] | None = None
	files: Annotated[list[CopiedFile], Field(max_length=1000)] = []

	@model_validator(mode="after")
	def _has_what_its_method_needs(self) -> App:
		if self.method == "git" and (not self.ref or self.source or self.files or self.ssh_host):
			raise ValueError("method git takes a ref, and neither source, ssh_host nor files; correct it")
		if self.method == "copy" and (not self.source or not self.files or self.ref or self.expected_commit):
			raise ValueError(
				"method copy takes a source and files, and neither ref nor expected_commit; correct it"
			)
		paths = [file.path for file in self.files]
		if len(paths) != len(set(paths)):
			raise ValueError("a path stands twice in files; keep one of them")
		return self


class ConfigChange(Frozen):
	key: Annotated[str, AfterValidator(inputs.config_key)]
	value: Any
	scope: Literal["site", "common"] = "site"

	@model_validator(mode="after")
	def _value_is_json(self) -> ConfigChange:
		inputs.json_value(self.value)
		for name in (self.key, *_names_in(self.value)):
			if inputs.is_secret_name(name):
				where = "" if name == self.key else f" in the value of {self.key}"
				raise ValueError(
					f"key {_name(name)}{where} usually holds a secret, and a plan is no place for one; "
					"set it with bench set-config"
				)
		return self


class CriticalTest(Frozen):
	"""One test target: an app, a module or a DocType. `expected_tests` counts tests that really ran."""

	app: AppName | None = None
	module: Annotated[str, AfterValidator(inputs.module)] | None = None
	doctype: Line | None = None
	expected_tests: Annotated[int, Field(ge=1, le=100_000)] | None = None
	failfast: bool = False
	timeout_seconds: Annotated[int, Field(ge=1, le=7200)] = 900

	@model_validator(mode="after")
	def _has_one_target(self) -> CriticalTest:
		if sum(target is not None for target in (self.app, self.module, self.doctype)) != 1:
			raise ValueError("exactly one of app, module and doctype is needed; set one")
		return self

	@property
	def target(self) -> str:
		return self.module or self.doctype or self.app or ""


class HttpCheck(Frozen):
	kind: Literal["http"] = "http"
	name: Line
	method: Literal["GET", "HEAD", "POST"] = "GET"
	path: Annotated[str, AfterValidator(inputs.url_path)]
	headers: dict[Annotated[str, AfterValidator(inputs.header_name)], Line] = {}
	expected_status: Annotated[int, Field(ge=100, le=599)] = 200
	expected_text: Text | None = None
	expected_json: Annotated[Any, AfterValidator(inputs.json_value)] = None
	maximum_latency_ms: Annotated[float, Field(gt=0, le=120_000)] | None = None

	@model_validator(mode="after")
	def _holds_no_secret(self) -> HttpCheck:
		for name in self.headers:
			if inputs.is_secret_name(name) or name.lower() in {"host", "x-frappe-site-name"}:
				raise ValueError(f"header {name} is not for a plan; take it out")
		return self


class ConsoleCheck(Frozen):
	kind: Literal["console"] = "console"
	name: Line
	code: Annotated[PythonCode, Field(min_length=1)]
	timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 60


SmokeTest = Annotated[HttpCheck | ConsoleCheck, Field(discriminator="kind")]


class ChecklistItem(Frozen):
	phase: Literal["before", "during", "after"] = "before"
	item: Line
	mandatory: bool = True
	done: bool = False
	done_by: Line | None = None


class Window(Frozen):
	"""The maintenance window, as two instants with a time zone."""

	start: Instant
	end: Instant

	@model_validator(mode="after")
	def _is_in_order(self) -> Window:
		if self.end <= self.start:
			raise ValueError("end is not after start; correct the window")
		return self


class Thresholds(Frozen):
	"""What GO needs (runbook, “Critères GO/NO-GO”). Percent are 0 to 100, latencies milliseconds."""

	error_rate_percent: Percent = 5.0
	latency_ms: Annotated[float, Field(gt=0, le=120_000)] = 500.0
	latency_degraded_percent: Annotated[float, Field(gt=0, le=10_000)] = 50.0
	new_log_errors: Annotated[int, Field(ge=0, le=1_000_000)] = 0
	cpu_percent: Percent = 95.0
	memory_percent: Percent = 95.0
	database_connections: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class Triggers(Frozen):
	"""What follows when a trigger of the runbook fires: automatic rollback, or a person decides."""

	error_rate: Action = "roll_back"
	critical_tests: Action = "roll_back"
	latency: Action = "roll_back"
	log_errors: Action = "roll_back"


class Monitor(Frozen):
	seconds: Annotated[float, Field(ge=0, le=86_400)] = 1800.0
	interval_seconds: Annotated[float, Field(ge=0.1, le=60)] = 1.0
	path: Annotated[str, AfterValidator(inputs.url_path)] = "/api/method/ping"
	baseline_seconds: Annotated[float, Field(ge=1, le=600)] = 10.0
	minimum_samples: Annotated[int, Field(ge=1, le=100_000)] = 5


class Drain(Frozen):
	"""How long workers may finish their jobs, and what follows when they don't.

	`foreign_seconds`: how long others' statements and transactions may hold a closed site's database.
	"""

	seconds: Annotated[float, Field(ge=0, le=7200)] = 120.0
	when_exceeded: Literal["wait", "go_on"] = "go_on"
	foreign_seconds: Annotated[float, Field(ge=0, le=7200)] = 10.0


class Stabilise(Frozen):
	"""When restarted services count as up: after so many healthy probes in a row, over a second or more.

	`seconds` are the limit for that, and how long programs are watched for dying, be the sites open by then or not.
	With 0 probes the sites stay closed for all of them.
	"""

	seconds: Annotated[float, Field(ge=0, le=600)] = 30.0
	healthy_probes: Annotated[int, Field(ge=0, le=1000)] = 5


class Milestone(Frozen):
	"""One line of the planned timeline; minutes relative to maintenance on (T-0 of the deployment)."""

	minute: Annotated[int, Field(ge=-100_000, le=100_000)]
	phase: Line
	action: Line
	duration_minutes: Annotated[float, Field(ge=0, le=100_000)] = 0.0


class Person(Frozen):
	role: Line
	name: Line = ""
	contact: Line = ""


class PlanSpec(Frozen):
	schema_version: Annotated[int, Field(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)] = SCHEMA_VERSION
	title: Annotated[Line, Field(min_length=1)]
	objective: Text = ""
	approved_by: Line | None = None
	sites: Annotated[list[Site], Field(min_length=1, max_length=500)]
	control_site: SiteName | None = None
	apps: Annotated[list[App], Field(max_length=100)] = []
	config: Annotated[list[ConfigChange], Field(max_length=200)] = []
	requirements: When = "auto"
	build: When = "auto"
	migrate: When = "auto"
	backup: Backup = Backup()
	critical_tests: Annotated[list[CriticalTest], Field(max_length=200)] = []
	test_site: SiteName | None = None
	production_test_consent: Line | None = None
	smoke_tests: Annotated[list[SmokeTest], Field(max_length=200)] = []
	checklist: Annotated[list[ChecklistItem], Field(max_length=200)] = []
	window: Window | None = None
	thresholds: Thresholds = Thresholds()
	triggers: Triggers = Triggers()
	monitor: Monitor = Monitor()
	drain: Drain = Drain()
	stabilise: Stabilise = Stabilise()
	inconclusive: Literal["ask", "roll_back"] = "ask"
	decision_seconds: Annotated[int, Field(ge=10, le=86_400)] = 1800
	timeline: Annotated[list[Milestone], Field(max_length=100)] = []
	people: Annotated[list[Person], Field(max_length=100)] = []
	notify: Annotated[list[Line], Field(max_length=100)] = []

	@model_validator(mode="after")
	def _fits_together(self) -> PlanSpec:
		named = {
			"sites": self.site_names,
			"apps": [app.name for app in self.apps],
			"config": [(change.scope, change.key) for change in self.config],
		}
		for field, names in named.items():
			if len(names) != len(set(names)):
				raise ValueError(f"a name stands twice in {field}; keep one of them")
		if not self.apps and not self.config:
			raise ValueError("there is neither an app nor a config change; add what is to be deployed")
		if self.critical_tests and not self.test_site:
			raise ValueError("there are critical tests but no test_site; name the site they run on")
		if self.critical_tests and self.tests_run_on_production and self.production_test_consent != CONSENT:
			raise ValueError(
				f"test_site is a production site; name another one, or set production_test_consent to “{CONSENT}”"
			)
		return self

	@property
	def site_names(self) -> list[str]:
		return [site.name for site in self.sites]

	@property
	def tests_run_on_production(self) -> bool:
		return self.test_site in self.site_names

	@property
	def sha256(self) -> str:
		data = self.as_data()
		for part, field in ADDED_FIELDS:
			if getattr(self, part).is_default(field):
				del data[part][field]
		return hashlib.sha256(canonical_json(data).encode()).hexdigest()

	def as_data(self) -> dict[str, Any]:
		"""The spec as plain JSON data, every field written out."""
		return self.model_dump(mode="json")

	def is_open_at(self, moment: datetime) -> bool:
		"""Whether the maintenance window, if there is one, is open at an aware `moment`."""
		return self.window is None or self.window.start <= moment < self.window.end


# By which field people tell one row of a plan from the others.
_NAMING = ("key", "name")
# The password in https://user:password@host.
_CREDENTIALS = re.compile(r":[^/@\s]\S*@")
# The sentence an admin has to type (or tick in Desk) to let critical tests run on production.
CONSENT = "tests may create and change records on the production site"


def _names_in(value: Any) -> Iterator[str]:
	"""Every key of the objects in a JSON value."""
	children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
	if isinstance(value, dict):
		yield from value
	for child in children:
		yield from _names_in(child)


def read_plan(data: object) -> PlanSpec:
	"""Validate plain data. Raises `InputError` for the first field that is wrong."""
	try:
		# Through JSON, so that strict types mean JSON's types and not Python's.
		encoded = canonical_json(data)
	except (TypeError, ValueError, RecursionError) as error:
		raise InputError(
			"plan", type(data).__name__, f"it is not JSON ({error})", "pass a JSON object"
		) from None
	return parse_plan(encoded)


def parse_plan(encoded: str | bytes, limit: int = PLAN_SIZE_LIMIT) -> PlanSpec:
	"""Validate the JSON text of a plan. Raises `InputError` for the first field that is wrong."""
	if len(encoded) > limit:
		raise InputError("plan", encoded[:40], f"it is larger than {limit} bytes", "make it smaller")
	try:
		return PlanSpec.model_validate_json(encoded)
	except ValidationError as error:
		raise _first_error(error) from None


def _first_error(error: ValidationError) -> InputError:
	found = error.errors(include_url=False)[0]
	message = found["msg"].removeprefix("Value error, ")
	why, _, remedy = message.partition("; ")
	field = ".".join(_name(part) for part in found["loc"]) or "plan"
	return InputError(field, _presentable(found["loc"], found["input"]), why, remedy or "correct this field")


def _name(part: str | int) -> str:
	"""Part of a field's name; what an author made up as a name may be anything."""
	text = str(part)
	return text if text.isprintable() and len(text) <= inputs.NAME_LIMIT else show(text)


def _presentable(place: tuple[str | int, ...], value: object) -> object:
	"""A refused value as it may stand in a message: secrets hidden, objects and lists not spread out."""
	if any(inputs.is_secret_name(str(part)) for part in place if part != "key"):
		return "(not shown)"
	if isinstance(value, dict):
		named = next((key for key in _NAMING if isinstance(value.get(key), str)), None)
		return f"an object with {f'{named} {value[named]}' if named else ', '.join(list(value)[:5])}"
	if isinstance(value, list):
		return f"a list of {len(value)}"
	return _CREDENTIALS.sub(":(not shown)@", value) if isinstance(value, str) else value
