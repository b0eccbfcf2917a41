"""Deploy, second part: the assets of the new code, and the restart."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from functools import partial
from operator import not_
from pathlib import Path
from typing import Any

import psutil

from press_deploy.engine.bench import assets
from press_deploy.engine.bench.answer import GOOD, MAINTENANCE
from press_deploy.engine.bench.processes import started_at
from press_deploy.engine.bench.program_logs import list_logs, read_logs
from press_deploy.engine.bench.program_watch import ProgramWatch
from press_deploy.engine.bench.services import REALTIME, ROLES, WEB, WORKERS
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.ground.waiting import wait_until
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.doors import Doors
from press_deploy.engine.steps.run import Run
from press_deploy.engine.watching.watched_logs import WatchedLogs

BUILD_SECONDS = 1800
RESTART_SECONDS = 180
# A worker may take minutes to finish its job, and each look stands in the helper's log.
WORKERS_POLL_SECONDS = 0.25
# How often a restarted bench is looked at, and how long it must have been healthy without a break; less where the plan
# has less time than usual.
PROBE_SECONDS = 0.25
STEADY_SECONDS = 1.0


@dataclass(eq=False)
class Build(Step):
	"""Build the assets; the ones that are replaced are kept."""

	site_processes: SiteProcesses

	name, title, phase = "build", "Build assets", Phase.DEPLOY
	undone_by = ("undo-build",)

	def skip_reason(self, run: Run) -> str | None:
		return why_not_needed(run, "build") if run.spec.apps else "the plan deploys no app"

	def prepare(self, run: Run) -> dict[str, Any]:
		kept, digests = {}, {}
		for number, original in enumerate(assets.list_places(run.bench, self._apps(run))):
			if original.exists():
				copy = self._copy(run, number)
				shutil.rmtree(copy, ignore_errors=True)
				copy.parent.mkdir(exist_ok=True)
				(shutil.copytree if original.is_dir() else shutil.copy2)(original, copy)
				digests[str(original)] = assets.digest(copy)
			kept[str(original)] = number if original.exists() else None
		return {"kept": kept, "sha256": digests}

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		site, apps = run.spec.site_names[0], self._apps(run)
		self.site_processes.call("build", site, timeout=BUILD_SECONDS, apps=apps)
		places = assets.list_places(run.bench, apps)
		return {"sha256": {str(place): assets.digest(place) for place in places}}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		if result is None:
			# Bundles don't tell which sources they were made of.
			return Observation(False, "not known; built again")
		if changed := [
			place for place, sha256 in result["sha256"].items() if assets.digest(Path(place)) != sha256
		]:
			return Observation(False, f"changed by somebody since they were built: {', '.join(changed)}")
		bundles = assets.list_bundles(run.bench, self._apps(run))
		if missing := [str(path) for path in bundles if not (path.is_file() and path.stat().st_size)]:
			return Observation(
				False, f"assets.json names bundles that are not there: {', '.join(missing[:5])}"
			)
		names = ", ".join(path.name for path in bundles[:5])
		return Observation(
			True, f"{len(bundles)} bundle(s) of {', '.join(self._apps(run))}: {names or 'none'}"
		)

	def undo(self, run: Run, before: dict[str, Any]) -> None:
		for original, number in before["kept"].items():
			place = Path(original)
			shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
			if number is not None:
				copy = self._copy(run, number)
				(shutil.copytree if copy.is_dir() else shutil.copy2)(copy, place)

	def observe_undone(self, run: Run, before: dict[str, Any]) -> Observation:
		# Runs of older versions recorded no sums: there, the copies say what was kept.
		former = before.get("sha256") or {
			place: assets.digest(self._copy(run, number))
			for place, number in before["kept"].items()
			if number is not None
		}
		wrong = [place for place in before["kept"] if assets.digest(Path(place)) != former.get(place)]
		return Observation(
			not wrong,
			f"not as they were: {', '.join(wrong)}" if wrong else "the former assets are back, byte by byte",
		)

	def _apps(self, run: Run) -> list[str]:
		return [app.name for app in run.spec.apps]

	def _copy(self, run: Run, number: int) -> Path:
		return run.directory.private / "assets" / str(number)


@dataclass(eq=False)
class Restart(Step):
	"""Restart web and workers, each by itself, and see that what runs started after the switch."""

	doors: Doors

	name, title, phase = "restart", "Restart services", Phase.DEPLOY
	undone_by = ("rollback-restart",)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		since = self._since(run)
		if not self.doors.services.programs(WEB):
			raise StepFailed(
				"Restarting",
				f"the web server of {run.bench.path}",
				"no program of it is known, so nothing can be restarted",
				f"let the helper look for it: sudo {run.bench.command_to_type('helper', 'install')}",
			)
		roles = [role for role in ROLES if self._old(run, role, since)]
		for role in roles:
			self.doors.services.restart(role)
		self._wait(run, [role for role in (WEB, REALTIME) if role in roles], since, RESTART_SECONDS)
		self._wait_for_answers(run)
		late = self._wait_for_workers(run, since) if WORKERS in roles else []
		return {"late": late, "restarted": roles}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		since = self._since(run)
		late = set((result or {}).get("late", []))
		old = [program for role in ROLES for program in self._old(run, role, since) if program not in late]
		if old:
			return Observation(False, f"not restarted yet: {', '.join(old)}")
		programs = self.doors.services.programs()
		found = f"{len(programs) - len(late)} programs running, started after the switch"
		if late:
			found += f"; still at an old job, to be restarted after it: {', '.join(sorted(late))}"
		return Observation(
			True, found, {"programs": {program["name"]: program["state"] for program in programs}}
		)

	def _since(self, run: Run) -> float:
		"""What was started before this moment runs the old code."""
		return run.state.step(self.name).started_at

	def _old(self, run: Run, role: str, since: float) -> list[str]:
		"""The programs of a role that don't run, or were started before `since`."""
		return [
			program["name"]
			for program in self.doors.services.programs(role)
			if program["state"] != "RUNNING"
			or program.get("restart_pending")
			or (_started(program) or 0) < since
		]

	def _wait(self, run: Run, roles: list[str], since: float, seconds: float) -> None:
		def find_old() -> list[str]:
			return [name for role in roles for name in self._old(run, role, since)]

		if old := wait_until(find_old, seconds, not_):
			raise _not_running(run, old, seconds)

	def _wait_for_answers(self, run: Run) -> None:
		"""A web server that runs may still be importing: wait until it answers, whatever it says."""
		begun = time.monotonic()
		for site in run.spec.site_names:
			left = begun + RESTART_SECONDS - time.monotonic()
			answer = wait_until(
				partial(self.doors.web.ask, site), left, lambda answer: answer.status is not None
			)
			if answer.status is None:
				web = [program["name"] for program in self.doors.services.programs(WEB)]
				log = list_logs(run.bench, web)
				raise StepFailed(
					"Restarting",
					f"the web server of {site}",
					f"it does not answer {RESTART_SECONDS:g} s after its restart ({answer.kind}; log: {log})",
					f"see why it does not serve: {read_logs(run.bench, web)}",
				)

	def _wait_for_workers(self, run: Run, since: float) -> list[str]:
		drain = run.spec.drain
		# A rollback always goes on: nobody is helped by a site that stays closed for an old job.
		waits = drain.when_exceeded == "wait" and self.phase is not Phase.ROLLBACK
		limit = drain.seconds + (RESTART_SECONDS if waits else 0)
		look = partial(self._old, run, WORKERS, since)
		old = wait_until(look, limit, not_, poll_seconds=WORKERS_POLL_SECONDS)
		if not old:
			return []
		stopping = {
			program["name"]
			for program in self.doors.services.programs(WORKERS)
			if program.get("restart_pending")
		}
		if waits or not set(old) <= stopping:
			raise _not_running(run, old, limit)
		run.note(f"Went on although these workers are still at an old job: {', '.join(old)}")
		return old


@dataclass(eq=False)
class Stabilise(Step):
	"""Let the services settle: the sites answer several times in a row, and no program dies over it.

	Who dies later is seen by the verdict, and in the monitoring until the plan's time is over: for that nobody has
	to stand before closed doors.
	"""

	doors: Doors
	watched_logs: WatchedLogs

	name, title, phase = "stabilise", "Stabilise", Phase.DEPLOY
	undone_by = NOTHING

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		wanted, healthy, was_unhealthy = run.spec.stabilise, 0, False
		watch = ProgramWatch(self.doors.services, run.state.result(Restart.name).get("late", []))
		begun = since = time.monotonic()
		steady = min(STEADY_SECONDS, wanted.seconds / 10)
		while True:
			asked = time.monotonic()
			if unhealthy := self._down(run, watch) or self._unhealthy(run):
				healthy, was_unhealthy = 0, True
			else:
				healthy, since = healthy + 1, since if healthy else asked
			now = time.monotonic()
			if 0 < wanted.healthy_probes <= healthy and now - since >= steady:
				break
			if now - begun >= wanted.seconds:
				# A slow machine, or a plan that asks for more than fits, is no sick one.
				if unhealthy or (was_unhealthy and wanted.healthy_probes):
					raise self._failure(run, unhealthy or f"only {healthy} healthy answer(s) in a row")
				break
			time.sleep(min(PROBE_SECONDS, wanted.seconds / 10))
		found = f"healthy after {now - begun:.1f} s ({healthy} healthy probes in a row)"
		# What stopping and starting made services say ends here; the log check excuses none of it behind this.
		return {"found": found, "processes": watch.processes, "settled": self.watched_logs.mark()}

	def _down(self, run: Run, watch: ProgramWatch) -> str:
		restarted, down = watch.look()
		if restarted:
			raise StepFailed(
				"Stabilising",
				", ".join(restarted),
				f"died and was started again (log: {list_logs(run.bench, restarted)})",
				f"see why it died: {read_logs(run.bench, restarted)}",
			)
		return f"not running: {', '.join(down)}" if down else ""

	def _failure(self, run: Run, why: str) -> StepFailed:
		programs = self.doors.services.programs()
		sick = [each["name"] for each in programs if each["state"] != "RUNNING" or each["role"] == WEB]
		return StepFailed(
			"Stabilising",
			f"the services of {run.bench.path}",
			f"{why} after {run.spec.stabilise.seconds:g} s (log: {list_logs(run.bench, sick)})",
			f"see why: {read_logs(run.bench, sick)}; what runs: {run.bench.command_to_type('helper', 'status')}",
		)

	def _unhealthy(self, run: Run) -> str:
		for site in run.spec.site_names:
			answer = self.doors.web.ask(site)
			if answer.kind not in (GOOD, MAINTENANCE):
				return f"{site} answered {answer.status or answer.kind}"
		return ""


def _started(program: dict[str, Any]) -> float | None:
	"""When a program started: from its process, because supervisor only knows whole seconds."""
	pid = program.get("pid")
	return (started_at(pid) if pid and psutil.pid_exists(pid) else None) or program.get("started_at")


def _not_running(run: Run, programs: list[str], seconds: float) -> StepFailed:
	return StepFailed(
		"Restarting",
		", ".join(programs),
		f"not running again after {seconds:g} s (log: {list_logs(run.bench, programs)})",
		f"see why: {read_logs(run.bench, programs)}",
	)


def why_not_needed(run: Run, what: str) -> str | None:
	decision = run.state.needs(what)
	return None if decision["needed"] else decision["why"]
