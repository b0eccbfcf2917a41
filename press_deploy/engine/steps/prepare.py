"""Prepare, first part: what can be done while the site is open, so that the window stays short."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from press_deploy.engine.bench.answer import GOOD
from press_deploy.engine.bench.git import check_expected
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.plan.changes import decide
from press_deploy.engine.steps.announcements import announce, can_announce
from press_deploy.engine.steps.base import Step
from press_deploy.engine.verdict.conditions import latency_figures
from press_deploy.engine.watching.probes import Probe, as_probe

if TYPE_CHECKING:
	from press_deploy.engine.plan.spec import App
	from press_deploy.engine.steps.context import Context

BASELINE_INTERVAL_SECONDS = 0.1


class Announce(Step):
	"""Tell people that the deployment begins. A message can't be taken back, so it is sent once at most."""

	name, title, phase = "announce", "Announce the deployment", Phase.PREPARE
	subject = "Deployment begins: {title}"

	def skip_reason(self, context: Context) -> str | None:
		return None if can_announce(context) else "the plan notifies nobody"

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		sent, problem = announce(context, self.subject)
		if problem:
			context.note(f"{self.title}: {problem}")
		return {"found": f"{sent} notified" if sent else "nobody could be notified"}

	def observe(self, context: Context, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		if result is None:
			return Observation(True, "it may have been sent before the runner died; it is not sent again")
		return Observation(True, result["found"])


class Baseline(Step):
	"""Measure latency before anything is changed, to compare with afterwards."""

	name, title, phase = "baseline", "Baseline", Phase.PREPARE

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		probes = []
		end = time.monotonic() + context.spec.monitor.baseline_seconds
		while time.monotonic() < end:
			for site in context.spec.site_names:
				answer = context.web.ask(site, context.spec.monitor.path, public=True)
				probes.append(as_probe(site, answer))
			time.sleep(BASELINE_INTERVAL_SECONDS)
		latency = {site: self._measure(probes, site) for site in context.spec.site_names}
		overall, bad = self._measure(probes), sum(probe.kind != GOOD for probe in probes)
		if overall is None:
			return {"latency": latency, "found": f"none of {len(probes)} answers was good"}
		found = f"median {overall['median']:g} ms, 95th percentile {overall['p95']:g} ms, {bad} of {len(probes)} bad"
		return {"latency": latency, "overall": overall, "found": found}

	def _measure(self, probes: list[Probe], site: str | None = None) -> dict[str, float] | None:
		good = [probe for probe in probes if probe.kind == GOOD and site in (None, probe.site)]
		return latency_figures([probe.latency_ms for probe in good])


class FetchCode(Step):
	"""Bring the release here and decide from the difference what it asks for. Changes no work tree."""

	name, title, phase = "fetch-code", "Fetch the code", Phase.PREPARE

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		targets = {app.name: self._fetch(context, app) for app in context.git_apps()}
		for app in context.copied_apps():
			context.file_copy(app).stage()
		changed = {name: target.pop("changed") for name, target in targets.items()}
		changed |= {app.name: [file.path for file in app.files] for app in context.copied_apps()}
		decisions = decide(context.spec, changed)
		for name, decision in decisions.items():
			context.log(f"{name}: {'yes' if decision['needed'] else 'no'}, {decision['why']}")
		commits = ", ".join(f"{name} {target['commit'][:12]}" for name, target in targets.items())
		files = sum(len(app.files) for app in context.copied_apps())
		found = "; ".join(filter(None, (commits, f"{files} file(s) to copy" if files else "")))
		counts = {name: len(files) for name, files in changed.items()}
		return {
			"targets": targets,
			"decisions": decisions,
			"changed_files": counts,
			"found": found or "no code",
		}

	def _fetch(self, context: Context, app: App) -> dict[str, Any]:
		repository = context.repository(app)
		remote = repository.choose_remote(app.remote)
		_commit, kind = repository.ask_remote(remote, app.ref)
		commit = repository.fetch(remote, app.ref, keep_as=context.run.name)
		check_expected(app.name, commit, app.expected_commit)
		position = repository.position()
		if not repository.contains(position.commit, commit):
			context.note(f"{app.name}: the target does not contain the present commit {position.commit[:12]}")
		return {
			"commit": commit,
			"branch": app.ref if kind == "branch" else None,
			"changed": repository.changed_files(position.commit, commit),
		}
