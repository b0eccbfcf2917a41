"""Does what a plan names exist on this bench? Asked when it is approved; preflight asks again."""

from __future__ import annotations

from pathlib import Path

import frappe
from frappe.utils import get_bench_path

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.plan.spec import CriticalTest, PlanSpec
from press_deploy.site.critical_test_targets import check_tests

# Which other sites the bench has, no site is told.
ITS_DIRECTORY = "write the site's name as its directory in sites/ is called"


def check_references(spec: PlanSpec) -> None:
	"""Raise `InputError` for the first site, app or test that isn't there."""
	bench = Bench(Path(get_bench_path()))
	sites, apps = bench.sites(), bench.apps()
	for number, site in enumerate(spec.sites):
		_check(f"sites.{number}.site", site.name, sites, ITS_DIRECTORY)
	for number, app in enumerate(spec.apps):
		_check(f"apps.{number}.app", app.name, apps, f"use one of: {', '.join(apps)}")
	if spec.test_site:
		_check("test_site", spec.test_site, sites, ITS_DIRECTORY)
	deployed = {app.name for app in spec.apps}
	for number, test in enumerate(spec.critical_tests):
		if spec.test_site == frappe.local.site:
			_check_test(f"critical_tests.{number}.target", test, deployed)


def _check(field: str, name: str, known: list[str], remedy: str) -> None:
	if name not in known:
		raise InputError(field, name, "this bench has no such thing", remedy)


def _check_test(field: str, test: CriticalTest, deployed: set[str]) -> None:
	problem = check_tests(test.app, test.module, test.doctype)["problem"]
	# The release itself may bring a test that isn't there yet.
	if problem and (test.module or test.app or "").split(".")[0] not in deployed:
		raise InputError(field, test.target, problem, "correct the test's type and target")
