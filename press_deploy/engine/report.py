"""The report of a run: `report.json` for programs, `report.html` for people, both from the same data.

Invariant: the HTML needs no other file and no network; everything in it is escaped by the template.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader

from press_deploy.engine import durable
from press_deploy.engine.bench import Bench
from press_deploy.engine.run_directory import RunDirectory
from press_deploy.engine.sampling import read_samples
from press_deploy.engine.summary import summarise

SCHEMA_VERSION = 1


def build_report(bench: Bench, run: RunDirectory) -> dict[str, Any]:
	"""The report as plain data: the summary, the plan's own words, the samples and both timelines."""
	summary, spec = summarise(bench, run), run.read_plan()
	return {
		"schema_version": SCHEMA_VERSION,
		**summary,
		"bench": str(bench.path),
		"objective": spec.objective,
		"approved_by": spec.approved_by,
		"sites": spec.site_names,
		"thresholds": spec.thresholds.model_dump(mode="json"),
		"checklist": [item.model_dump(mode="json") for item in spec.checklist],
		"people": [person.model_dump(mode="json") for person in spec.people],
		"planned_timeline": [milestone.model_dump(mode="json") for milestone in spec.timeline],
		"timeline": _measure(summary["steps"]),
		"samples": [_shorten(sample) for sample in read_samples(run.samples)],
	}


def write_report(bench: Bench, run: RunDirectory) -> None:
	"""Write both files of the report into the run's directory."""
	report = build_report(bench, run)
	durable.write_json(run.report_json, report)
	durable.write_text(run.report_html, render_html(report))


def render_html(report: dict[str, Any]) -> str:
	"""The report as one page."""
	environment = Environment(loader=PackageLoader("press_deploy.engine"), autoescape=True, trim_blocks=True)
	environment.filters["pretty_json"] = lambda data: json.dumps(data, indent=1, ensure_ascii=False)
	return environment.get_template("report.html").render(report=report)


def _measure(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
	"""Each step with its begin relative to maintenance on, and its duration, both in seconds."""
	moments = {step["name"]: datetime.fromisoformat(step["started"]) for step in steps}
	origin = moments.get("maintenance") or min(moments.values(), default=None)
	return [
		{
			"name": step["name"],
			"phase": step["phase"],
			"title": step["title"],
			"status": step["status"],
			"offset_seconds": round((moments[step["name"]] - origin).total_seconds(), 3),
			"seconds": _duration(step),
		}
		for step in steps
		if step["status"] != "skipped"
	]


def _duration(step: dict[str, Any]) -> float | None:
	if not step["ended"]:
		return None
	span = datetime.fromisoformat(step["ended"]) - datetime.fromisoformat(step["started"])
	return round(span.total_seconds(), 3)


def _shorten(sample: Any) -> dict[str, Any]:
	return {
		"time": round(sample.time, 2),
		"latency_ms": sample.latency_ms,
		"bad": sample.bad_probes,
		"probes": sample.probes,
		"cpu": sample.cpu_percent,
		"memory": sample.memory_percent,
		"connections": sample.database_connections,
		"log_errors": sample.log_errors,
	}
