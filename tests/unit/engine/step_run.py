"""A run for steps that are tried alone: real files, and a site process that does what the test says."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.plan.spec import read_plan

from .support import MINIMAL, SITE, make_bench

LIST = "sites/assets/assets.json"
BUNDLE = "apps/shop/shop/public/dist/js/shop.bundle.{}.js"


class StepRun(SimpleNamespace):
	"""As much of a run as these steps ask for, and the port of site processes; `tasks` are what those do."""

	def call(self, task: str, site: str, **_arguments: object) -> dict:
		return self.tasks[task](site)


def make_run(tmp_path: Path) -> StepRun:
	bench, spec = Bench.open(make_bench(tmp_path / "bench")), read_plan(MINIMAL)
	directory = RunDirectory.create(bench.path, spec)
	run = StepRun(bench=bench, spec=spec, directory=directory, name=directory.name, tasks={}, notes=[])
	run.databases = SimpleNamespace(sites={}, wants_standby=lambda site: True, standbys={})
	run.watched_logs = run.copies = None
	run.site_processes, run.note, run.log = run, run.notes.append, lambda text: None
	bench.site_config(SITE).write_text(json.dumps({"db_name": "x", "db_type": "sqlite"}))
	put(run, "OLD")
	run.tasks["build"] = lambda site: put(run, "NEW")
	return run


def put(run: StepRun, release: str) -> dict:
	"""The assets of a release: a bundle of the same name each time, and the list."""
	for file, content in {
		BUNDLE.format("X"): release,
		LIST: json.dumps({"shop.bundle.js": "/assets/shop/dist/js/shop.bundle.X.js"}),
	}.items():
		path = run.bench.path / file
		path.parent.mkdir(parents=True, exist_ok=True)
		path.write_text(content)
	return {}
