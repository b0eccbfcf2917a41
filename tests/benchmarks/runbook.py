"""The runbook's commands, typed literally by a script, and the downtime that visitors see of them.

    python -m tests.benchmarks.runbook --bench DIR --site SITE --app APP --to REF --back BRANCH
        [--supervisorctl "supervisorctl -c FILE"] [--test-site SITE --test-module MODULE]

It deploys REF, then rolls back by the runbook's own rollback; the same prober measures both as measures
a run of press_deploy. For a bench to practise on: everything the runbook does is really done.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.web import Web
from press_deploy.engine.plan.spec import read_plan
from press_deploy.engine.watching.prober import Prober
from press_deploy.engine.watching.probes import downtime_seconds, find_outages, read_probes

STABILISE_SECONDS = 30
# After maintenance off, workers still have the old configuration in their cache for up to a minute.
SETTLE_SECONDS = 75


def type_deployment(options: argparse.Namespace) -> None:
	"""Phases 2 to 4 of the runbook."""
	bench_command(options, "set-maintenance-mode", "on")
	git(options, "fetch", options.remote)
	git(options, "checkout", options.to)
	change_configuration(options, "true")
	supervisorctl(options, "restart", "all")
	time.sleep(STABILISE_SECONDS)
	supervisorctl(options, "status")
	if options.test_module:
		command = ["bench", "--site", options.test_site, "run-tests", "--module", options.test_module]
		call(options.bench, *command)
	bench_command(options, "set-maintenance-mode", "off")


def type_rollback(options: argparse.Namespace) -> None:
	"""The runbook's rollback of code and configuration."""
	bench_command(options, "set-maintenance-mode", "on")
	git(options, "checkout", options.back)
	supervisorctl(options, "restart", "all")
	change_configuration(options, "false")
	bench_command(options, "set-maintenance-mode", "off")


def change_configuration(options: argparse.Namespace, value: str) -> None:
	bench_command(options, "set-config", "server_script_enabled", value)
	call(options.bench, "bench", "set-config", "-g", "server_script_enabled", value)


def bench_command(options: argparse.Namespace, *arguments: str) -> None:
	call(options.bench, "bench", "--site", options.site, *arguments)


def git(options: argparse.Namespace, *arguments: str) -> None:
	call(options.bench / "apps" / options.app, "git", *arguments)


def supervisorctl(options: argparse.Namespace, *arguments: str) -> None:
	call(options.bench, *shlex.split(options.supervisorctl), *arguments)


def call(directory: Path, *command: str) -> None:
	ended = subprocess.run(command, cwd=directory, capture_output=True, text=True, stdin=subprocess.DEVNULL)
	note = "" if ended.returncode == 0 else f"  (exit {ended.returncode}: {ended.stderr.strip()[-120:]})"
	print(f"  {' '.join(command)}{note}", flush=True)


@contextmanager
def measured(bench: Bench, site: str, what: str) -> Iterator[None]:
	"""Probe while the block is executed, and until its late effects are over; print what visitors saw."""
	spec = read_plan({"title": what, "sites": [{"name": site}], "config": [{"key": "none", "value": 0}]})
	with tempfile.TemporaryDirectory() as directory:
		file = Path(directory) / "probes.csv"
		prober = Prober(Web(bench, spec), [site], spec.monitor.path, file)
		prober.ensure_started()
		print(f"{what}:")
		yield
		time.sleep(SETTLE_SECONDS)
		prober.close()
		outages = find_outages(read_probes(file))
	kinds: dict[str, int] = {}
	for outage in outages:
		for kind, count in outage.kinds.items():
			kinds[kind] = kinds.get(kind, 0) + count
	print(
		f"  → downtime {downtime_seconds(outages):.1f} s in {len(outages)} outage(s), bad answers: {kinds}\n"
	)


def main() -> None:
	parser = argparse.ArgumentParser(
		description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
	)
	parser.add_argument("--bench", type=Path, default=Path(os.environ.get("FRAPPE_BENCH", "~/frappe-bench")))
	for name in ("--site", "--app", "--to", "--back"):
		parser.add_argument(name, required=True)
	parser.add_argument("--remote", default="upstream")
	parser.add_argument("--supervisorctl", default="sudo supervisorctl")
	parser.add_argument("--test-site")
	parser.add_argument("--test-module")
	options = parser.parse_args()
	options.bench = options.bench.expanduser().resolve()
	bench = Bench.open(options.bench)
	with measured(bench, options.site, f"Deployment of {options.to}, typed"):
		type_deployment(options)
	with measured(bench, options.site, f"Rollback to {options.back}, typed"):
		type_rollback(options)


if __name__ == "__main__":
	main()
