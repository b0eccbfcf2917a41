"""A run on disk: `<bench>/deployments/<run>/`, and what stands where in it.

Invariant: the directory is readable by the bench user alone, and `plan.json` never changes after it
was written; the journal's first record holds its hash.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from press_deploy.engine.ground import durable, inputs
from press_deploy.engine.ground.errors import InputError, JournalDamaged

if TYPE_CHECKING:
	from press_deploy.engine.plan.spec import PlanSpec

DEPLOYMENTS = "deployments"


@dataclass(frozen=True)
class PlanNames:
	"""What a plan is called, and what it is about."""

	title: str
	sites: list[str]
	apps: list[str]


@dataclass(frozen=True)
class RunDirectory:
	path: Path

	@classmethod
	def create(cls, bench: Path, spec: PlanSpec) -> RunDirectory:
		"""Make the directory of a new run, with its frozen plan in it."""
		slug = re.sub(r"[^a-z0-9]+", "-", spec.title.lower()).strip("-")[:30].strip("-") or "run"
		stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
		deployments = bench / DEPLOYMENTS
		deployments.mkdir(mode=0o700, exist_ok=True)
		run = cls(deployments / f"{stamp}-{slug}-{secrets.token_hex(2)}")
		run.path.mkdir(mode=0o700)
		for directory in (run.steps, run.private, run.requests, run.backup):
			directory.mkdir(mode=0o700)
		durable.write_json(run.plan, spec.as_data())
		durable.sync_directory(deployments)
		return run

	@classmethod
	def open(cls, bench: Path, name: str) -> RunDirectory:
		"""The directory of a run that exists. Raises `InputError` for a name that is wrong or unknown."""
		try:
			inputs.run_name(name)
		except ValueError as error:
			why, _, remedy = str(error).partition("; ")
			raise InputError("run", name, why, remedy) from None
		run = cls(bench / DEPLOYMENTS / name)
		if not run.plan.is_file():
			known = ", ".join(each.name for each in list_runs(bench)[-5:]) or "none yet"
			raise InputError("run", name, f"there is no such run in {bench}", f"name one of: {known}")
		return run

	def read_plan(self) -> PlanSpec:
		"""The frozen plan; raises `InputError` when it isn't a plan. `check_plan` compares it."""
		# Late, for whoever only asks how a run is doing: the models take longer to build than all else to read.
		from press_deploy.engine.plan.spec import PLAN_SIZE_LIMIT, parse_plan

		# Written out with every default and indented, an accepted plan is larger than it came in.
		return parse_plan(self.plan.read_bytes(), 10 * PLAN_SIZE_LIMIT)

	def read_names(self) -> PlanNames:
		"""What the frozen plan names, without looking at the rest of it. Raises `InputError`."""
		try:
			data = json.loads(self.plan.read_bytes())
			sites, apps = ([each["name"] for each in data[key]] for key in ("sites", "apps"))
			return PlanNames(data["title"], sites, apps)
		except (ValueError, KeyError, TypeError, RecursionError) as error:
			why = f"it is no plan of a run: {type(error).__name__}: {error}"
			raise InputError("plan", str(self.plan), why, "put the original file back") from None

	def check_plan(self, spec: PlanSpec, recorded_sha256: str) -> None:
		"""Raise `JournalDamaged` when the plan is not the one the run began with."""
		if spec.sha256 != recorded_sha256:
			raise JournalDamaged(
				"Reading",
				str(self.plan),
				"it is not the plan this run began with",
				"put the original file back; a changed plan needs a new run",
			)

	@property
	def name(self) -> str:
		return self.path.name

	@property
	def plan(self) -> Path:
		return self.path / "plan.json"

	@property
	def journal(self) -> Path:
		return self.path / "journal.jsonl"

	@property
	def samples(self) -> Path:
		return self.path / "samples.csv"

	@property
	def probes(self) -> Path:
		return self.path / "probes.csv"

	@property
	def steps(self) -> Path:
		return self.path / "steps"

	@property
	def private(self) -> Path:
		"""What undo needs and no report may show: former configuration values, originals of files."""
		return self.path / "private"

	@property
	def requests(self) -> Path:
		"""What people ask of the run: abort, roll back, GO, NO-GO."""
		return self.path / "requests"

	@property
	def backup(self) -> Path:
		return self.path / "backup"

	def backup_of(self, site: str) -> Path:
		"""The backup that is made before the window."""
		return self.backup / site

	def final_backup_of(self, site: str) -> Path:
		"""The backup that was taken behind maintenance, or what it adds to the one before."""
		return self.backup / "final" / site

	@property
	def kept_environment(self) -> Path:
		"""The files of the bench's environment as they were before the release changed it."""
		return self.private / "environment"

	@property
	def replaced_environment(self) -> Path:
		"""After a rollback: the environment that the release had made of it."""
		return self.private / "replaced-environment"

	@property
	def losses(self) -> Path:
		"""After a rollback of the database: the documents that are not live any more, with their rows."""
		return self.path / "losses"

	@property
	def report_html(self) -> Path:
		return self.path / "report.html"

	@property
	def report_json(self) -> Path:
		return self.path / "report.json"

	@property
	def noted_sites(self) -> list[str]:
		"""The sites for which the run keeps databases, or can't tell that it does not."""
		return sorted(path.name for path in (self.private / "standby").glob("*"))

	def step_log(self, step: str) -> Path:
		return self.steps / f"{step}.log"

	def save_private(self, name: str, data: Any) -> None:
		durable.write_json(self.private / name, data)

	def load_private(self, name: str) -> Any:
		return json.loads((self.private / name).read_text())


def list_runs(bench: Path) -> list[RunDirectory]:
	"""The runs of a bench, oldest first."""
	deployments = bench / DEPLOYMENTS
	if not deployments.is_dir():
		return []
	with os.scandir(deployments) as entries:
		names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
	runs = [RunDirectory(deployments / name) for name in names]
	# Also where one may not be looked into, which `Path` would raise.
	return [run for run in runs if os.path.isfile(run.plan)]
