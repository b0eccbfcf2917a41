"""Prepare, first part: what can be done while the site is open, so that the window stays short."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from press_deploy.engine.bench.answer import GOOD
from press_deploy.engine.bench.git import check_expected
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.plan.changes import decide
from press_deploy.engine.steps.announcements import announce, can_announce
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.code import Code
from press_deploy.engine.steps.doors import Doors
from press_deploy.engine.steps.run import Run
from press_deploy.engine.verdict.figures import latency_figures
from press_deploy.engine.watching.probes import Probe, as_probe

if TYPE_CHECKING:
	from press_deploy.engine.plan.spec import App

BASELINE_INTERVAL_SECONDS = 0.1


@dataclass(eq=False)
class Announce(Step):
	"""Tell people that the deployment begins. A message can't be taken back, so it is sent once at most."""

	site_processes: SiteProcesses

	name, title, phase = "announce", "Announce the deployment", Phase.PREPARE
	undone_by = NOTHING
	subject = "Deployment begins: {title}"

	def skip_reason(self, run: Run) -> str | None:
		return None if can_announce(run) else "the plan notifies nobody"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		sent, problem = announce(run, self.site_processes, self.subject)
		if problem:
			run.note(f"{self.title}: {problem}")
		return {"found": f"{sent} notified" if sent else "nobody could be notified"}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		if result is None:
			return Observation(True, "it may have been sent before the runner died; it is not sent again")
		return Observation(True, result["found"])


@dataclass(eq=False)
class Baseline(Step):
	"""Measure latency before anything is changed, to compare with afterwards."""

	doors: Doors

	name, title, phase = "baseline", "Baseline", Phase.PREPARE
	undone_by = NOTHING

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		probes = []
		end = time.monotonic() + run.spec.monitor.baseline_seconds
		while time.monotonic() < end:
			for site in run.spec.site_names:
				answer = self.doors.web.ask(site, run.spec.monitor.path, public=True)
				probes.append(as_probe(site, answer))
			time.sleep(BASELINE_INTERVAL_SECONDS)
		latency = {site: self._measure(probes, site) for site in run.spec.site_names}
		overall, bad = self._measure(probes), sum(probe.kind != GOOD for probe in probes)
		if overall is None:
			return {"latency": latency, "found": f"none of {len(probes)} answers was good"}
		found = f"median {overall['median']:g} ms, 95th percentile {overall['p95']:g} ms, {bad} of {len(probes)} bad"
		return {"latency": latency, "overall": overall, "found": found}

	def _measure(self, probes: list[Probe], site: str | None = None) -> dict[str, float] | None:
		good = [probe for probe in probes if probe.kind == GOOD and site in (None, probe.site)]
		return latency_figures([probe.latency_ms for probe in good])


@dataclass(eq=False)
class FetchCode(Step):
	"""Bring the release here and decide from the difference what it asks for. Changes no work tree."""

	code: Code

	name, title, phase = "fetch-code", "Fetch the code", Phase.PREPARE
	undone_by = NOTHING

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		targets = {app.name: self._fetch(run, app) for app in self.code.git_apps()}
		for app in self.code.copied_apps():
			self.code.file_copy(app).stage()
		changed = {name: target.pop("changed") for name, target in targets.items()}
		changed |= {app.name: [file.path for file in app.files] for app in self.code.copied_apps()}
		decisions = decide(run.spec, changed)
		for name, decision in decisions.items():
			run.log(f"{name}: {'yes' if decision['needed'] else 'no'}, {decision['why']}")
		commits = ", ".join(f"{name} {target['commit'][:12]}" for name, target in targets.items())
		files = sum(len(app.files) for app in self.code.copied_apps())
		found = "; ".join(filter(None, (commits, f"{files} file(s) to copy" if files else "")))
		counts = {name: len(files) for name, files in changed.items()}
		return {
			"targets": targets,
			"decisions": decisions,
			"changed_files": counts,
			"found": found or "no code",
		}

	def _fetch(self, run: Run, app: App) -> dict[str, Any]:
		repository = self.code.repository(app)
		remote = repository.choose_remote(app.remote)
		_commit, kind = repository.ask_remote(remote, app.ref)
		commit = repository.fetch(remote, app.ref, keep_as=run.name)
		check_expected(app.name, commit, app.expected_commit)
		position = repository.position()
		if not repository.contains(position.commit, commit):
			run.note(f"{app.name}: the target does not contain the present commit {position.commit[:12]}")
		return {
			"commit": commit,
			"branch": app.ref if kind == "branch" else None,
			"changed": repository.changed_files(position.commit, commit),
		}
