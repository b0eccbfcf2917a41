"""The plan of a deployment on the practice bench: the runbook's, at the speed of a demonstration."""

from __future__ import annotations

from typing import Any

from press_deploy.demo.places import SITE, TEST_SITE, Places
from press_deploy.demo.releases import INSTALLED, VERSIONS, find_commit
from press_deploy.engine.plan.spec import PlanSpec, read_plan

CONSOLE_CHECK = """\
database.execute("INSERT INTO items (name, price) VALUES ('Validation', 10)")
total = database.execute("SELECT SUM(price) FROM items WHERE name = 'Validation'").fetchone()[0]
assert total == 10, f"expected 10, found {total}"
print("The shop counts correctly")
"""

# The runbook's timetable, as (minutes from "maintenance on", phase, action, minutes it takes).
TIMELINE = (
	(-25, "Prepare", "Backup and snapshot", 10),
	(-15, "Prepare", "Look at the present state", 5),
	(-10, "Prepare", "Tell the team", 5),
	(-5, "Prepare", "Last review", 5),
	(0, "Deploy", "Maintenance on", 1),
	(1, "Deploy", "Switch the code", 2),
	(3, "Deploy", "Change the configuration", 1),
	(4, "Deploy", "Restart the services", 1),
	(5, "Validate", "Critical tests", 5),
	(10, "Validate", "Smoke tests", 5),
	(15, "Validate", "Log check", 2),
	(17, "Open", "Maintenance off", 1),
	(18, "Monitor", "Monitoring", 30),
	(48, "Close", "Report", 5),
)


def make_plan(places: Places, release: str, monitor_seconds: float, **overrides: Any) -> PlanSpec:
	"""The plan that brings a release to the shop; `overrides` replace whole fields of it."""
	data = {
		"title": f"Shop {release}",
		"objective": f"Bring release {release} of the shop to {SITE}.",
		"approved_by": "demo",
		"sites": [{"name": SITE}],
		"control_site": SITE,
		"apps": [{"name": "shop", "ref": release, "expected_commit": find_commit(places.origin, release)}],
		"config": [
			{"key": "server_script_enabled", "value": True, "scope": "site"},
			{"key": "server_script_enabled", "value": True, "scope": "common"},
		],
		"backup": {"safe_directory": str(places.safe), "minimum_free_percent": 1.0},
		"critical_tests": [{"module": "shop.tests.test_shop", "expected_tests": 3, "timeout_seconds": 60}],
		"test_site": TEST_SITE,
		"smoke_tests": _smoke_tests(release),
		"checklist": [{"item": "This is a practice bench", "done": True, "done_by": "demo"}],
		# Machines of all speeds, at work with other things: only a great difference is the release's own.
		"thresholds": {"latency_degraded_percent": 300.0, "cpu_percent": 100.0, "memory_percent": 100.0},
		"monitor": {
			"seconds": float(monitor_seconds),
			"interval_seconds": min(1.0, max(0.1, monitor_seconds / 10)),
			"baseline_seconds": 2.0,
		},
		"stabilise": {"seconds": 3.0, "healthy_probes": 3},
		"drain": {"seconds": 10.0},
		"timeline": [
			{"minute": minute, "phase": phase, "action": action, "duration_minutes": float(minutes)}
			for minute, phase, action, minutes in TIMELINE
		],
		"people": [{"role": "Deployment lead", "name": "demo"}],
		"notify": ["team@shop.localhost"],
	}
	return read_plan({**data, **overrides})


def _smoke_tests(release: str) -> list[dict[str, Any]]:
	pong = {"path": "/api/method/ping", "expected_json": {"message": "pong"}, "maximum_latency_ms": 500.0}
	home = {"path": "/", "expected_text": "Anchor", "maximum_latency_ms": 2000.0}
	tests = [{"kind": "http", "name": "API health", **pong}, {"kind": "http", "name": "Home page", **home}]
	# The bad releases never come to be served, so what they call themselves is of no interest.
	if release in VERSIONS and release != INSTALLED:
		version = {"path": "/api/method/version", "expected_json": {"message": VERSIONS[release]}}
		tests.append({"kind": "http", "name": "Version", **version})
	return [*tests, {"kind": "console", "name": "Sums", "code": CONSOLE_CHECK, "timeout_seconds": 20}]
