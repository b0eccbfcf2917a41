"""Is the code ready: clean trees, reachable remotes, the commit that the plan expects, files to copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from press_deploy.engine.bench.allowances import find_forbidden
from press_deploy.engine.bench.git import is_full_commit, matches_expected
from press_deploy.engine.ground.checks import Check, fail, ok, warn
from press_deploy.engine.ground.errors import DeployError

if TYPE_CHECKING:
	from press_deploy.engine.plan.spec import App
	from press_deploy.engine.steps.context import Context


def check_repositories(context: Context) -> Iterator[Check]:
	for app in context.git_apps():
		name = f"Code of {app.name}"
		if app.name not in context.bench.apps() or not context.repository(app).exists():
			yield fail(
				name,
				"there is no such app with a git repository",
				f"use one of: {', '.join(context.bench.apps())}",
			)
			continue
		try:
			yield _check_tree(context, app)
			yield _check_target(context, app)
		except DeployError as error:
			yield fail(
				name, error.why, f"see whether git works there: git -C {context.bench.app(app.name)} status"
			)


def check_copy_sources(context: Context) -> Iterator[Check]:
	forbidden = [] if context.state.by_shell else find_forbidden(context.bench, context.spec)
	if any(error.field.startswith("apps.") for error in forbidden):
		# Their names and hashes would be told to somebody who may not read them.
		return
	for app in context.copied_apps():
		name = f"Files of {app.name}"
		if app.name not in context.bench.apps():
			yield fail(
				name, "there is no such app on this bench", f"use one of: {', '.join(context.bench.apps())}"
			)
			continue
		try:
			context.file_copy(app).check_targets()
			yield ok(
				name,
				f"{len(app.files)} file(s) to copy from {app.ssh_host or ''}{':' if app.ssh_host else ''}{app.source}",
			)
		except DeployError as error:
			yield fail(name, f"{error.what}: {error.why}", error.remedy)


def _check_tree(context: Context, app: App) -> Check:
	repository = context.repository(app)
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


def _check_target(context: Context, app: App) -> Check:
	repository, name = context.repository(app), f"Target of {app.name}"
	remote = repository.choose_remote(app.remote)
	try:
		commit, kind = repository.ask_remote(remote, app.ref)
	except DeployError as error:
		return fail(
			name,
			f"remote {remote} does not answer: {error.why}",
			f"see whether this works: git -C {repository.path} fetch {remote}",
		)
	if commit or is_full_commit(app.ref):
		context.resolved[app.name] = commit or app.ref
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
