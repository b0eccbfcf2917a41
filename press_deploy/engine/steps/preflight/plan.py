"""Is the plan itself ready: approved, its checklist done, its window open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from press_deploy.engine.bench.allowances import find_forbidden
from press_deploy.engine.ground.checks import Check, fail, ok, warn
from press_deploy.engine.ground.errors import show
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.run import Run


def check_approval(run: Run, ports: Ports) -> Iterator[Check]:
	spec = run.spec
	if not spec.approved_by:
		# A dry run is there to look at what is not approved yet.
		say = warn if run.state.dry_run else fail
		yield say(
			"Plan approved", "nobody has approved this plan", "submit the plan in Desk, or set approved_by"
		)
	elif spec.sha256 != run.state.plan_sha256:
		yield fail(
			"Plan approved",
			"the plan was changed after the run began",
			f"approve the plan as it is meant (submit it in Desk), then start it; what was changed: {run.directory.plan}",
		)
	else:
		yield ok("Plan approved", f"by {spec.approved_by}, unchanged (SHA-256 {spec.sha256[:12]})")


def check_allowances(run: Run, ports: Ports) -> Iterator[Check]:
	"""What runs code as the bench's user: asked here again, where no site and no database has a say."""
	name = "Allowed on this bench"
	forbidden = [] if run.state.by_shell else find_forbidden(run.bench, run.spec)
	for error in forbidden:
		yield fail(f"{name}: {error.field}", f"{show(error.value)}: {error.why}", error.remedy)
	if run.state.by_shell:
		yield ok(name, "the bench's user began this run in a shell, from a file of his own")
	elif not forbidden:
		yield ok(name, "the plan holds nothing that the bench's shell user would have to allow")


def check_checklist(run: Run, ports: Ports) -> Iterator[Check]:
	items = [item for item in run.spec.checklist if item.phase == "before"]
	missing = [item.item for item in items if item.mandatory and not item.done]
	skipped = [item.item for item in items if not item.mandatory and not item.done]
	if missing:
		yield fail("Checklist", f"not done: {'; '.join(missing)}", "do these, then tick them in the plan")
	elif skipped:
		yield warn("Checklist", f"optional, not done: {'; '.join(skipped)}", "decide whether you want these")
	else:
		yield ok("Checklist", f"{len(items)} item(s) before the deployment, all done")


def check_window(run: Run, ports: Ports) -> Iterator[Check]:
	window, now = run.spec.window, datetime.now(timezone.utc)
	if window is None:
		yield ok("Maintenance window", "the plan sets none")
	elif run.spec.is_open_at(now):
		yield ok("Maintenance window", f"open until {window.end.isoformat()}")
	else:
		yield fail(
			"Maintenance window",
			f"it is {now.isoformat(timespec='minutes')}, the window is {window.start.isoformat()} to {window.end.isoformat()}",
			"wait for the window, or change it in the plan",
		)
