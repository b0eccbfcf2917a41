"""Deploy, first part: close the sites, and change code and configuration behind closed doors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from press_deploy.engine.bench import maintenance
from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.canonical import canonical_json
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase, RunState
from press_deploy.engine.plan.spec import ConfigChange
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.code import Code
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.doors import Doors
from press_deploy.engine.steps.run import Run
from press_deploy.engine.watching.log_classes import Weight
from press_deploy.engine.watching.watched_logs import WatchedLogs
from press_deploy.helper.site_config import common_config_paths, get_value, set_values, site_config_paths


@dataclass(eq=False)
class Maintenance(Step):
	"""Close every site, and see that every web worker knows it."""

	doors: Doors

	name, title, phase = "maintenance", "Maintenance on", Phase.DEPLOY
	undone_by = ("rollback-open",)
	wanted = maintenance.CLOSED

	def prepare(self, run: Run) -> dict[str, Any]:
		self._require_window(run)
		values = {
			site: get_value(str(run.bench.site_config(site)), "maintenance_mode")
			for site in run.spec.site_names
		}
		return {"previous": values}

	def _require_window(self, run: Run) -> None:
		if not run.spec.is_open_at(datetime.now(timezone.utc)):
			sites, again = ", ".join(run.spec.site_names), run.bench.command_to_type
			remedy = f"start the plan again in the next window: {again('run', str(run.directory.plan))}"
			raise StepFailed("Closing", sites, "the maintenance window is not open any more", remedy)

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		if self.phase is Phase.DEPLOY and not run.has_closed_sites():
			# A run that died right after the announcement may be resumed hours later.
			self._require_window(run)
		self.doors.prober.ensure_started()
		self.doors.hold()
		self.doors.maintenance.wait_until(run.spec.site_names, self.wanted)
		return {}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		return self.doors.maintenance.observe(run.spec.site_names, self.wanted)


@dataclass(eq=False)
class MarkLogs(Step):
	"""Note where every log ends now: only what comes later is the release's."""

	watched_logs: WatchedLogs
	databases: Databases

	name, title, phase = "mark-logs", "Mark the logs", Phase.DEPLOY
	undone_by = NOTHING

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		marks = mark_logs(run, self.watched_logs, self.databases)
		journal = f", the journal of {len(marks['journal']['units'])} units" if marks["journal"] else ""
		return {**marks, "found": f"{len(marks['marks'])} files{journal}"}


@dataclass(eq=False)
class FormerErrors(Step):
	"""What was logged since the switch, by processes that run the old code on a bench that is half switched.

	Of the release nothing but its imports and its build has run until now: what a patch logs is the release's.
	"""

	watched_logs: WatchedLogs

	name, title, phase = "former-errors", "Errors of the former release", Phase.DEPLOY
	undone_by = NOTHING

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		marks = run.state.result(MarkLogs.name)
		found = self.watched_logs.read(marks, {}) if "marks" in marks else []
		errors = sorted({each.fingerprint for each in found if each.log_class.weight is Weight.AGAINST})
		return {
			"former_errors": errors,
			"found": f"{len(errors)} kind(s), not to be held against the release",
		}

	@classmethod
	def read(cls, state: RunState) -> list[str]:
		"""Their fingerprints. Runs of earlier versions noted them when they announced the restart."""
		noted = state.result(cls.name) or state.before("restart")
		return noted.get("former_errors", [])


@dataclass(eq=False)
class SwitchCode(Step):
	"""Switch every app to the release: by git, or by copying files."""

	code: Code

	name, title, phase = "switch-code", "Switch the code", Phase.DEPLOY
	undone_by = ("undo-switch-code",)

	def skip_reason(self, run: Run) -> str | None:
		return None if run.spec.apps else "the plan changes configuration only"

	def prepare(self, run: Run) -> dict[str, Any]:
		return {
			"git": {app.name: self._describe(run, app.name) for app in self.code.git_apps()},
			"files": {app.name: self.code.file_copy(app).keep_originals() for app in self.code.copied_apps()},
		}

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		for name, target in self._targets(run).items():
			self.code.repository(name).switch(target["commit"], target["branch"])
		for app in self.code.copied_apps():
			self.code.file_copy(app).apply(before["files"][app.name])
		return {}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		found = []
		for name, target in self._targets(run).items():
			repository = self.code.repository(name)
			position, changes = repository.position(), repository.changes(untracked=False)
			if position.commit != target["commit"] or changes:
				return Observation(
					False, f"{name} is at {position.commit[:12]} with {len(changes)} change(s)"
				)
			found.append(f"{name} at {position.commit[:12]}")
		for app in self.code.copied_apps():
			if not self.code.file_copy(app).is_applied():
				return Observation(False, f"files of {app.name} differ from the plan")
			found.append(f"{len(app.files)} file(s) of {app.name}")
		return Observation(True, "; ".join(found))

	def undo(self, run: Run, before: dict[str, Any]) -> None:
		for name, was in before["git"].items():
			repository = self.code.repository(name)
			self._keep_uncommitted(run, name)
			repository.switch(was["commit"], was["branch"])
			if moved := self._moved_branch(run, name, was):
				repository.restore_branch(moved, was["target_branch_commit"])
		for app in self.code.copied_apps():
			files, kept = self.code.file_copy(app), before["files"][app.name]
			directory = run.directory.private / f"edited-{app.name}"
			if edited := files.keep_edited(kept, directory):
				run.note(f"Files of {app.name} were edited since; kept in {directory}: {', '.join(edited)}")
			files.undo(kept)

	def observe_undone(self, run: Run, before: dict[str, Any]) -> Observation:
		found = []
		for name, was in before["git"].items():
			repository = self.code.repository(name)
			position, changes = repository.position(), repository.changes(untracked=False)
			if (position.commit, position.branch) != (was["commit"], was["branch"]) or changes:
				return Observation(
					False,
					f"{name} is at {position.commit[:12]} on {position.branch}, with {len(changes)} change(s)",
				)
			moved = self._moved_branch(run, name, was)
			if moved and repository.branch_commit(moved) != was["target_branch_commit"]:
				return Observation(False, f"branch {moved} of {name} is not where it was")
			found.append(f"{name} at {position.commit[:12]} on {position.branch or 'no branch'}")
		for app in self.code.copied_apps():
			if not self.code.file_copy(app).is_undone(before["files"][app.name]):
				return Observation(False, f"files of {app.name} differ from the originals")
			found.append(f"originals of {app.name}")
		return Observation(True, "; ".join(found))

	def _moved_branch(self, run: Run, name: str, was: dict[str, Any]) -> str | None:
		"""The local branch that the switch made or moved, if it is another one than the app was on."""
		branch = self._targets(run)[name]["branch"]
		return branch if branch != was["branch"] else None

	def _keep_uncommitted(self, run: Run, name: str) -> None:
		"""Somebody's edits since the release went live are not the release's to throw away."""
		repository, target = self.code.repository(name), self._targets(run)[name]["commit"]
		if repository.position().commit == target and repository.changes(untracked=False):
			patch = run.directory.private / f"uncommitted-{name}.patch"
			durable.write_bytes(patch, repository.difference())
			if repository.takes(patch):
				run.note(f"{name} had uncommitted changes; they are kept in {patch}")
				return
			# Git itself does not read it back, so the files are kept whole beside it.
			copies = run.directory.private / f"uncommitted-{name}"
			for path in repository.changed_paths():
				durable.copy(repository.path / path, copies / path)
			run.note(f"{name} had uncommitted changes; the files as they were are kept in {copies}")

	def _targets(self, run: Run) -> dict[str, dict[str, Any]]:
		return run.state.result("fetch-code").get("targets", {})

	def _describe(self, run: Run, name: str) -> dict[str, Any]:
		repository, branch = self.code.repository(name), self._targets(run)[name]["branch"]
		if changes := repository.changes():
			why = f"its work tree changed since preflight: {changes[0]}"
			remedy = f"commit, stash or remove what is not committed: git -C {repository.path} status"
			raise StepFailed("Switching", name, why, remedy)
		position = repository.position().as_data()
		return {**position, "target_branch_commit": repository.branch_commit(branch) if branch else None}


class ChangeConfig(Step):
	"""Set configuration keys, site and common; the values they replace stay out of the journal."""

	name, title, phase = "config", "Change the configuration", Phase.DEPLOY
	undone_by = ("undo-config",)
	former = "former-config.json"

	def skip_reason(self, run: Run) -> str | None:
		return None if run.spec.config else "the plan changes no key"

	def prepare(self, run: Run) -> dict[str, Any]:
		values = {file: self._read(run, file) for file in self._files(run)}
		run.directory.save_private(self.former, values)
		return {"sha256": hashlib.sha256(canonical_json(values).encode()).hexdigest()}

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		for file in self._files(run):
			set_values(*self._paths(run, file), self._wanted(run, file))
		return {"keys": [f"{change.key} ({change.scope})" for change in run.spec.config]}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		wrong = [file for file in self._files(run) if self._read(run, file) != self._wanted(run, file)]
		if wrong:
			return Observation(False, f"not as wanted in: {', '.join(wrong)}")
		keys = ", ".join(
			f"{change.key} = {_show(change.value)} ({change.scope})" for change in run.spec.config
		)
		return Observation(True, f"read back: {keys}")

	def undo(self, run: Run, before: dict[str, Any]) -> None:
		for file, values in run.directory.load_private(self.former).items():
			set_values(*self._paths(run, file), values)

	def observe_undone(self, run: Run, before: dict[str, Any]) -> Observation:
		former = run.directory.load_private(self.former)
		wrong = [file for file, values in former.items() if self._read(run, file) != values]
		return Observation(
			not wrong, f"differs in {', '.join(wrong)}" if wrong else "every key as before, absence included"
		)

	def _files(self, run: Run) -> list[str]:
		"""Which configuration files the plan touches: site names, and the empty name for the common one."""
		scopes = {change.scope for change in run.spec.config}
		return [*(run.spec.site_names if "site" in scopes else []), *([""] if "common" in scopes else [])]

	def _changes(self, run: Run, file: str) -> list[ConfigChange]:
		return [change for change in run.spec.config if change.scope == ("site" if file else "common")]

	def _paths(self, run: Run, file: str) -> tuple[str, str]:
		bench = str(run.bench.path)
		return site_config_paths(bench, file) if file else common_config_paths(bench)

	def _read(self, run: Run, file: str) -> dict[str, Any]:
		path = self._paths(run, file)[0]
		return {change.key: get_value(path, change.key) for change in self._changes(run, file)}

	def _wanted(self, run: Run, file: str) -> dict[str, Any]:
		return {change.key: {"present": True, "value": change.value} for change in self._changes(run, file)}


def _show(value: Any) -> str:
	return "…" if isinstance(value, dict | list) else canonical_json(value)


def mark_logs(run: Run, watched_logs: WatchedLogs, databases: Databases) -> dict[str, Any]:
	"""Where the logs end now: as `WatchedLogs.mark`, and "error_log": {site: newest row, None when unknown}."""
	newest: dict[str, str | None] = {}
	for site in run.spec.site_names:
		try:
			newest[site] = databases.sites[site].last_error_log()
		except DatabaseUnavailable as error:
			run.note(f"The Error Log of {site} can't be read: {error}")
			newest[site] = None
	return {**watched_logs.mark(), "error_log": newest}
