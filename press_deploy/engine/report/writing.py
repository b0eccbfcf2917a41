"""The report of a run: `report.json` for programs, `report.html` for people, both from the same data.

Invariant: the HTML needs no other file and no network; everything in it is escaped by the template.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground import durable
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import load_state
from press_deploy.engine.report.page import render_html
from press_deploy.engine.report.summary import summarise
from press_deploy.engine.report.timeline_charts import follow_answers
from press_deploy.engine.verdict.metrics import sampled
from press_deploy.engine.watching.probes import read_probes
from press_deploy.engine.watching.sampling import Sample, read_samples

SCHEMA_VERSION = 1


def build_report(bench: Bench, run: RunDirectory) -> dict[str, Any]:
	"""The report as plain data: the summary, the plan's own words, the samples and both timelines."""
	summary, spec = summarise(bench, run), run.read_plan()
	return {
		"schema_version": SCHEMA_VERSION,
		"written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
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
		"baseline": load_state(run).result("baseline").get("overall"),
		"answers": follow_answers(read_probes(run.probes), _worst_site(summary, spec.site_names)),
		"incidents": list_incidents(summary),
	}


def write_report(bench: Bench, run: RunDirectory) -> None:
	"""Write both files of the report into the run's directory."""
	report = build_report(bench, run)
	durable.write_json(run.report_json, report)
	durable.write_text(run.report_html, render_html(report))


def list_incidents(summary: dict[str, Any]) -> list[dict[str, Any]]:
	"""What did not go by itself, in time order: notes, triggers, people's requests, failed steps."""
	steps = [*summary["steps"], *summary["earlier_rollbacks"]]
	incidents = [
		*({**step, "kind": "failure", "time": step["ended"]} for step in steps if step["status"] == "failed"),
		*({**note, "kind": "note"} for note in summary["notes"]),
		*({**trigger, "kind": "trigger"} for trigger in summary["triggers"]),
		*({**request, "kind": "request"} for request in summary["requests"]),
	]
	return sorted(incidents, key=lambda incident: datetime.fromisoformat(incident["time"]))


def _worst_site(summary: dict[str, Any], sites: list[str]) -> str:
	"""The site that was away longest."""
	away = {site: 0.0 for site in sites}
	for outage in summary["outages"]:
		away[outage["site"]] = away.get(outage["site"], 0.0) + outage["seconds"]
	return max(away, key=lambda site: away[site])


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


def _shorten(sample: Sample) -> dict[str, Any]:
	return {
		"time": round(sample.time, 2),
		"bad": sample.bad_probes,
		"probes": sample.probes,
		**{metric.key: sample.figures.get(metric.column) for metric in sampled()},
	}
