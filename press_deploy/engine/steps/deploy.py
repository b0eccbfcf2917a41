"""Deploy, first part: close the sites, and change code and configuration behind closed doors."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from press_deploy.engine.bench import maintenance
from press_deploy.engine.databases.database import DatabaseUnavailable
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.canonical import canonical_json
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.plan.spec import ConfigChange
from press_deploy.engine.steps.base import Step
from press_deploy.helper.site_config import common_config_paths, get_value, set_values, site_config_paths

if TYPE_CHECKING:
	from press_deploy.engine.steps.context import Context


class Maintenance(Step):
	"""Close every site, and see that every web worker knows it."""

	name, title, phase = "maintenance", "Maintenance on", Phase.DEPLOY
	wanted = maintenance.CLOSED

	def prepare(self, context: Context) -> dict[str, Any]:
		self._require_window(context)
		values = {
			site: get_value(str(context.bench.site_config(site)), "maintenance_mode")
			for site in context.spec.site_names
		}
		return {"previous": values}

	def _require_window(self, context: Context) -> None:
		if not context.spec.is_open_at(datetime.now(timezone.utc)):
			sites, again = ", ".join(context.spec.site_names), context.bench.command_to_type
			remedy = f"start the plan again in the next window: {again('run', str(context.run.plan))}"
			raise StepFailed("Closing", sites, "the maintenance window is not open any more", remedy)

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		if self.phase is Phase.DEPLOY and not context.has_closed_sites():
			# A run that died right after the announcement may be resumed hours later.
			self._require_window(context)
		context.prober.ensure_started()
		context.hold_maintenance()
		context.maintenance.wait_until(context.spec.site_names, self.wanted)
		return {}

	def observe(self, context: Context, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		return context.maintenance.observe(context.spec.site_names, self.wanted)


class MarkLogs(Step):
	"""Note where every log ends now: only what comes later is the release's."""

	name, title, phase = "mark-logs", "Mark the logs", Phase.DEPLOY

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		marks = mark_logs(context)
		journal = f", the journal of {len(marks['journal']['units'])} units" if marks["journal"] else ""
		return {**marks, "found": f"{len(marks['marks'])} files{journal}"}


class SwitchCode(Step):
	"""Switch every app to the release: by git, or by copying files."""

	name, title, phase = "switch-code", "Switch the code", Phase.DEPLOY

	def skip_reason(self, context: Context) -> str | None:
		return None if context.spec.apps else "the plan changes configuration only"

	def prepare(self, context: Context) -> dict[str, Any]:
		return {
			"git": {app.name: self._describe(context, app.name) for app in context.git_apps()},
			"files": {app.name: context.file_copy(app).keep_originals() for app in context.copied_apps()},
		}

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		for name, target in self._targets(context).items():
			context.repository(name).switch(target["commit"], target["branch"])
		for app in context.copied_apps():
			context.file_copy(app).apply(before["files"][app.name])
		return {}

	def observe(self, context: Context, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		found = []
		for name, target in self._targets(context).items():
			repository = context.repository(name)
			position, changes = repository.position(), repository.changes(untracked=False)
			if position.commit != target["commit"] or changes:
				return Observation(
					False, f"{name} is at {position.commit[:12]} with {len(changes)} change(s)"
				)
			found.append(f"{name} at {position.commit[:12]}")
		for app in context.copied_apps():
			if not context.file_copy(app).is_applied():
				return Observation(False, f"files of {app.name} differ from the plan")
			found.append(f"{len(app.files)} file(s) of {app.name}")
		return Observation(True, "; ".join(found))

	def undo(self, context: Context, before: dict[str, Any]) -> None:
		for name, was in before["git"].items():
			repository = context.repository(name)
			self._keep_uncommitted(context, name)
			repository.switch(was["commit"], was["branch"])
			if moved := self._moved_branch(context, name, was):
				repository.restore_branch(moved, was["target_branch_commit"])
		for app in context.copied_apps():
			files, kept = context.file_copy(app), before["files"][app.name]
			directory = context.run.private / f"edited-{app.name}"
			if edited := files.keep_edited(kept, directory):
				context.note(
					f"Files of {app.name} were edited since; kept in {directory}: {', '.join(edited)}"
				)
			files.undo(kept)

	def observe_undone(self, context: Context, before: dict[str, Any]) -> Observation:
		found = []
		for name, was in before["git"].items():
			repository = context.repository(name)
			position, changes = repository.position(), repository.changes(untracked=False)
			if (position.commit, position.branch) != (was["commit"], was["branch"]) or changes:
				return Observation(
					False,
					f"{name} is at {position.commit[:12]} on {position.branch}, with {len(changes)} change(s)",
				)
			moved = self._moved_branch(context, name, was)
			if moved and repository.branch_commit(moved) != was["target_branch_commit"]:
				return Observation(False, f"branch {moved} of {name} is not where it was")
			found.append(f"{name} at {position.commit[:12]} on {position.branch or 'no branch'}")
		for app in context.copied_apps():
			if not context.file_copy(app).is_undone(before["files"][app.name]):
				return Observation(False, f"files of {app.name} differ from the originals")
			found.append(f"originals of {app.name}")
		return Observation(True, "; ".join(found))

	def _moved_branch(self, context: Context, name: str, was: dict[str, Any]) -> str | None:
		"""The local branch that the switch made or moved, if it is another one than the app was on."""
		branch = self._targets(context)[name]["branch"]
		return branch if branch != was["branch"] else None

	def _keep_uncommitted(self, context: Context, name: str) -> None:
		"""Somebody's edits since the release went live are not the release's to throw away."""
		repository, target = context.repository(name), self._targets(context)[name]["commit"]
		if repository.position().commit == target and repository.changes(untracked=False):
			patch = context.run.private / f"uncommitted-{name}.patch"
			durable.write_bytes(patch, repository.difference())
			if repository.takes(patch):
				context.note(f"{name} had uncommitted changes; they are kept in {patch}")
				return
			# Git itself does not read it back, so the files are kept whole beside it.
			copies = context.run.private / f"uncommitted-{name}"
			for path in repository.changed_paths():
				durable.copy(repository.path / path, copies / path)
			context.note(f"{name} had uncommitted changes; the files as they were are kept in {copies}")

	def _targets(self, context: Context) -> dict[str, dict[str, Any]]:
		return context.state.result("fetch-code").get("targets", {})

	def _describe(self, context: Context, name: str) -> dict[str, Any]:
		repository, branch = context.repository(name), self._targets(context)[name]["branch"]
		if changes := repository.changes():
			why = f"its work tree changed since preflight: {changes[0]}"
			remedy = f"commit, stash or remove what is not committed: git -C {repository.path} status"
			raise StepFailed("Switching", name, why, remedy)
		position = repository.position().as_data()
		return {**position, "target_branch_commit": repository.branch_commit(branch) if branch else None}


class ChangeConfig(Step):
	"""Set configuration keys, site and common; the values they replace stay out of the journal."""

	name, title, phase = "config", "Change the configuration", Phase.DEPLOY
	former = "former-config.json"

	def skip_reason(self, context: Context) -> str | None:
		return None if context.spec.config else "the plan changes no key"

	def prepare(self, context: Context) -> dict[str, Any]:
		values = {file: self._read(context, file) for file in self._files(context)}
		context.run.save_private(self.former, values)
		return {"sha256": hashlib.sha256(canonical_json(values).encode()).hexdigest()}

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		for file in self._files(context):
			set_values(*self._paths(context, file), self._wanted(context, file))
		return {"keys": [f"{change.key} ({change.scope})" for change in context.spec.config]}

	def observe(self, context: Context, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		wrong = [
			file for file in self._files(context) if self._read(context, file) != self._wanted(context, file)
		]
		if wrong:
			return Observation(False, f"not as wanted in: {', '.join(wrong)}")
		keys = ", ".join(
			f"{change.key} = {_show(change.value)} ({change.scope})" for change in context.spec.config
		)
		return Observation(True, f"read back: {keys}")

	def undo(self, context: Context, before: dict[str, Any]) -> None:
		for file, values in context.run.load_private(self.former).items():
			set_values(*self._paths(context, file), values)

	def observe_undone(self, context: Context, before: dict[str, Any]) -> Observation:
		former = context.run.load_private(self.former)
		wrong = [file for file, values in former.items() if self._read(context, file) != values]
		return Observation(
			not wrong, f"differs in {', '.join(wrong)}" if wrong else "every key as before, absence included"
		)

	def _files(self, context: Context) -> list[str]:
		"""Which configuration files the plan touches: site names, and the empty name for the common one."""
		scopes = {change.scope for change in context.spec.config}
		return [*(context.spec.site_names if "site" in scopes else []), *([""] if "common" in scopes else [])]

	def _changes(self, context: Context, file: str) -> list[ConfigChange]:
		return [change for change in context.spec.config if change.scope == ("site" if file else "common")]

	def _paths(self, context: Context, file: str) -> tuple[str, str]:
		bench = str(context.bench.path)
		return site_config_paths(bench, file) if file else common_config_paths(bench)

	def _read(self, context: Context, file: str) -> dict[str, Any]:
		path = self._paths(context, file)[0]
		return {change.key: get_value(path, change.key) for change in self._changes(context, file)}

	def _wanted(self, context: Context, file: str) -> dict[str, Any]:
		return {
			change.key: {"present": True, "value": change.value} for change in self._changes(context, file)
		}


def _show(value: Any) -> str:
	return "…" if isinstance(value, dict | list) else canonical_json(value)


def mark_logs(context: Context) -> dict[str, Any]:
	"""Where the logs end now: as `WatchedLogs.mark`, and "error_log": {site: newest row, None when unknown}."""
	newest: dict[str, str | None] = {}
	for site in context.spec.site_names:
		try:
			newest[site] = context.databases[site].last_error_log()
		except DatabaseUnavailable as error:
			context.note(f"The Error Log of {site} can't be read: {error}")
			newest[site] = None
	return {**context.watched_logs.mark(), "error_log": newest}
