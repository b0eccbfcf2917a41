"""Is the code ready: clean trees, reachable remotes, the commit that the plan expects, files to copy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from press_deploy.engine.bench.allowances import find_forbidden
from press_deploy.engine.bench.git import Repository, is_full_commit, matches_expected
from press_deploy.engine.ground.checks import Check, fail, ok, warn
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.run import Run

if TYPE_CHECKING:
	from press_deploy.engine.plan.spec import App


@dataclass(frozen=True)
class Resolved(Check):
	"""What the remote says that the plan's ref is at, for the records: a dry run fetches nothing."""

	app: str = ""
	commit: str = ""


def check_repositories(run: Run, ports: Ports) -> Iterator[Check]:
	for app in ports.code.git_apps():
		name = f"Code of {app.name}"
		if app.name not in run.bench.apps() or not ports.code.repository(app).exists():
			yield fail(
				name,
				"there is no such app with a git repository",
				f"use one of: {', '.join(run.bench.apps())}",
			)
			continue
		try:
			yield _check_tree(run, ports, app)
			yield _check_target(run, ports, app)
		except DeployError as error:
			yield fail(
				name, error.why, f"see whether git works there: git -C {run.bench.app(app.name)} status"
			)


def check_copy_sources(run: Run, ports: Ports) -> Iterator[Check]:
	forbidden = [] if run.state.by_shell else find_forbidden(run.bench, run.spec)
	if any(error.field.startswith("apps.") for error in forbidden):
		# Their names and hashes would be told to somebody who may not read them.
		return
	for app in ports.code.copied_apps():
		name = f"Files of {app.name}"
		if app.name not in run.bench.apps():
			yield fail(
				name, "there is no such app on this bench", f"use one of: {', '.join(run.bench.apps())}"
			)
			continue
		try:
			ports.code.file_copy(app).check_targets()
			yield ok(
				name,
				f"{len(app.files)} file(s) to copy from {app.ssh_host or ''}{':' if app.ssh_host else ''}{app.source}",
			)
		except DeployError as error:
			yield fail(name, f"{error.what}: {error.why}", error.remedy)


def _check_tree(run: Run, ports: Ports, app: App) -> Check:
	repository = ports.code.repository(app)
	changes, position = repository.changes(), repository.position()
	if changes:
		shown = "; ".join(changes[:5])
		return fail(
			f"Work tree of {app.name}",
			f"{len(changes)} change(s) that are in no commit: {shown}",
			f"commit, stash or remove them in {repository.path}",
		)
	return ok(
		f"Work tree of {app.name}", f"clean, at {position.commit[:12]} on {position.branch or 'no branch'}"
	)


def _check_target(run: Run, ports: Ports, app: App) -> Check:
	repository, name = ports.code.repository(app), f"Target of {app.name}"
	remote = repository.choose_remote(app.remote)
	try:
		commit, kind = repository.ask_remote(remote, app.ref)
	except DeployError as error:
		return fail(
			name,
			f"remote {remote} does not answer: {error.why}",
			f"see whether this works: git -C {repository.path} fetch {remote}",
		)
	check = _compare_target(repository, remote, app, commit, kind)
	resolved = commit or (app.ref if is_full_commit(app.ref) else None)
	return Resolved(**check.as_data(), app=app.name, commit=resolved) if resolved else check


def _compare_target(repository: Repository, remote: str, app: App, commit: str | None, kind: str) -> Check:
	"""`commit`: what the remote says that the plan's ref, a branch or a tag by `kind`, is at."""
	name = f"Target of {app.name}"
	if commit is None and is_full_commit(app.ref):
		return warn(
			name,
			f"remote {remote} answers; whether it gives out commit {app.ref[:12]} shows when it is fetched",
			f"to know it now: git -C {repository.path} fetch {remote} {app.ref}",
		)
	if commit is None:
		return fail(
			name,
			f"remote {remote} has no branch or tag {app.ref}",
			f"correct the ref in the plan, a commit is written in full: git -C {repository.path} ls-remote {remote}",
		)
	if not matches_expected(commit, app.expected_commit):
		return fail(
			name,
			f"{kind} {app.ref} is at {commit[:12]}, the plan expects {app.expected_commit}",
			"correct expected_commit in the plan, or have the remote corrected",
		)
	if app.expected_commit is None:
		return warn(
			name,
			f"{kind} {app.ref} is at {commit[:12]}, the plan expects no commit",
			f"set expected_commit in the plan to {commit}, if that is what is meant",
		)
	return ok(name, f"{kind} {app.ref} of remote {remote} is at {commit[:12]}, as expected")
