"""What the tests of the commands share: a plan, and what a journal says of its run."""

import fcntl
import json
import os
from contextlib import contextmanager

from press_deploy.engine.plan.spec import read_plan

PLAN = {
	"title": "Release",
	"approved_by": "ada",
	"sites": [{"name": "shop.example"}],
	"apps": [{"name": "shop", "ref": "main"}],
}
CREATED = ("run-created", {"plan_sha256": read_plan(PLAN).sha256, "dry_run": False, "run": "r"})
WAITS = ("waiting", {"step": "verdict", "reason": "?", "deadline": 4e9, "accepts_go": True})
LIST, OTHER_LIST = "a" * 64, "b" * 64
ASKS = (
	"waiting",
	{"step": "lost-documents", "reason": "?", "deadline": 4e9, "accepts_go": True, "approve": LIST},
)


def done(step):
	about = {"step": step, "phase": "deploy", "title": step}
	return [
		("step-announced", {**about, "before": {}}),
		("step-observed", {**about, "result": {}, "found": "there"}),
	]


def close_site(bench):
	"""As a run leaves it: what the journal says is looked at, not believed."""
	config = bench / "sites/shop.example/site_config.json"
	config.write_text(json.dumps({**json.loads(config.read_text()), "maintenance_mode": 1}))


def ended(state):
	return ("run-ended", {"state": state, "reason": "[so] it is"})


@contextmanager
def owning(bench, run):
	"""A living process is at work on the run: this one."""
	file = bench / "deployments" / "lock.json"
	file.write_text(json.dumps({"run": run.name, "reason": "deployment", "pid": os.getpid(), "since": "now"}))
	with file.open("r+") as held:
		fcntl.flock(held, fcntl.LOCK_EX)
		yield
