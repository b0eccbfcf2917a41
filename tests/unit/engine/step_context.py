"""A context for steps that are tried alone: real files, and a site process that does what the test says."""

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


class Context(SimpleNamespace):
	"""As much of a context as these steps ask for; `build` and `fail` are what the site process does."""

	def call(self, task: str, site: str, **_arguments: object) -> dict:
		return self.tasks[task](site)


def make_context(tmp_path: Path) -> Context:
	bench, spec = Bench.open(make_bench(tmp_path / "bench")), read_plan(MINIMAL)
	context = Context(bench=bench, spec=spec, run=RunDirectory.create(bench.path, spec), tasks={}, notes=[])
	context.site_processes, context.note, context.log = context, context.notes.append, lambda text: None
	bench.site_config(SITE).write_text(json.dumps({"db_name": "x", "db_type": "sqlite"}))
	put(context, "OLD")
	context.tasks["build"] = lambda site: put(context, "NEW")
	return context


def put(context: Context, release: str) -> dict:
	"""The assets of a release: a bundle of the same name each time, and the list."""
	for file, content in {
		BUNDLE.format("X"): release,
		LIST: json.dumps({"shop.bundle.js": "/assets/shop/dist/js/shop.bundle.X.js"}),
	}.items():
		path = context.bench.path / file
		path.parent.mkdir(parents=True, exist_ok=True)
		path.write_text(content)
	return {}
