"""Is the machine ready: disk, safe place, helper, services, logs, and no other run."""

from __future__ import annotations

import getpass
import shlex
import shutil
from collections.abc import Iterator

from press_deploy.engine.bench.program_logs import read_logs
from press_deploy.engine.bench.services import ROLES, WEB, WORKERS
from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.ground.checks import Check, fail, ok, warn
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import unfinished_runs
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.run import Run
from press_deploy.engine.watching import journald, logs
from press_deploy.engine.watching.log_classes import Weight

# A dump is seldom larger than the data. Beside it there are the standby database and what changed until the
# window; a safe place on the same disk is warned of by itself.
BACKUPS_THAT_MUST_FIT = 2
RECENT_BYTES = 20_000


def check_other_runs(run: Run, ports: Ports) -> Iterator[Check]:
	others = [state.run for state in unfinished_runs(run.bench.path) if state.run != run.name]
	named = [other for other in others if _may_be_named(run, other)]
	if named:
		yield fail(
			"No other run",
			f"{', '.join(named)} not finished",
			run.bench.command_to_type("resume", named[0]),
		)
	elif others:
		found = "the bench is busy with a run of another site"
		yield fail("No other run", found, f"wait until it is over; its name: ls -t {run.bench.deployments}")
	else:
		yield ok("No other run", "the bench is locked for this run")


def _may_be_named(run: Run, other: str) -> bool:
	"""Whether it is no secret to those who read of this run: to the shell user none is, to a site those of others."""
	site = run.spec.control_site
	if site is None:
		return True
	try:
		return RunDirectory.open(run.bench.path, other).read_plan().control_site == site
	except DeployError:
		return False


def check_disk(run: Run, ports: Ports) -> Iterator[Check]:
	usage = shutil.disk_usage(run.bench.path)
	percent, wanted = 100 * usage.free / usage.total, run.spec.backup.minimum_free_percent
	found = f"{percent:.0f} % free ({_gigabytes(usage.free)})"
	if percent <= wanted:
		yield fail(
			"Disk space",
			f"{found}, more than {wanted:g} % is needed",
			f"free space there: df -h {run.bench.path}; du -sh {run.bench.path}/*",
		)
	else:
		yield ok("Disk space", found)
	needed = BACKUPS_THAT_MUST_FIT * sum(size_of(run, ports, site) for site in run.spec.site_names)
	if needed > usage.free:
		yield fail(
			"Room for the backup",
			f"{_gigabytes(needed)} may be needed, {found}",
			f"free space first: df -h {run.bench.path}",
		)
	else:
		yield ok("Room for the backup", f"at most {_gigabytes(needed)} of {_gigabytes(usage.free)}")


def check_helper(run: Run, ports: Ports) -> Iterator[Check]:
	install = f"sudo {run.bench.command_to_type('helper', 'install')}"
	if not ports.doors.services.has_helper:
		yield warn(
			"Helper",
			"there is none: if this process dies, nobody resumes the run and the sites stay in maintenance",
			f"install it: {install}",
		)
		return
	try:
		unknown = ports.doors.services.unknown_sites(run.spec.site_names)
	except DeployError as error:
		yield fail("Helper", error.why, error.remedy)
		return
	if unknown:
		found = (
			f"it does not know {', '.join(unknown)}: made after it was installed, so it would not close them"
		)
		yield fail("Helper", found, f"let it look again: {install}")
	else:
		yield ok("Helper", "answers, and knows every site; maintenance is held under a lease")


def check_services(run: Run, ports: Ports) -> Iterator[Check]:
	try:
		programs = ports.doors.services.programs()
	except DeployError as error:
		yield fail("Services", error.why, error.remedy)
		return
	for role in ROLES:
		of_role = [program for program in programs if program["role"] == role]
		down = [
			f"{program['name']} ({program['state']})" for program in of_role if program["state"] != "RUNNING"
		]
		if down:
			yield fail(
				f"Services: {role}",
				f"not running: {', '.join(down)}",
				_start_them(run, [program["name"] for program in of_role if program["state"] != "RUNNING"]),
			)
		elif of_role:
			yield ok(f"Services: {role}", f"running: {', '.join(program['name'] for program in of_role)}")
		elif role in (WEB, WORKERS):
			yield fail(
				f"Services: {role}",
				"none that can be restarted is known",
				f"bench setup supervisor, then: sudo {run.bench.command_to_type('helper', 'install')}",
			)


def _start_them(run: Run, names: list[str]) -> str:
	units = [name for name in names if name.endswith(".service")]
	programs = [name for name in names if name not in units]
	start = [f"sudo systemctl start {shlex.join(units)}"] if units else []
	start += [f"sudo supervisorctl start {shlex.join(programs)}"] if programs else []
	return f"see why they stopped: {read_logs(run.bench, names)}; then start them: {'; '.join(start)}"


def check_recent_log_errors(run: Run, ports: Ports) -> Iterator[Check]:
	files = ports.watched_logs.files()
	marks = {
		place: {**where, "size": max(0, where["size"] - RECENT_BYTES)}
		for place, where in logs.mark(files).items()
	}
	found = logs.errors_since(marks, files)
	findings = [each for each in found if each.log_class.weight is Weight.AGAINST]
	if findings:
		count = sum(finding.count for finding in findings)
		yield warn(
			"Recent log errors",
			f"{count} in the newest lines, e.g. {findings[0].example[:120]}",
			f"look at them first: {', '.join(sorted(findings[0].files))} in {run.bench.logs} or a site's own logs directory",
		)
	else:
		yield ok("Recent log errors", f"none in the newest lines of {len(files)} files")


def check_watched_logs(run: Run, ports: Ports) -> Iterator[Check]:
	name, files, units = "Logs watched", ports.watched_logs.files(), ports.watched_logs.units()
	found = f"{len(files)} files in {run.bench.logs} and the sites' logs"
	if not files and not units:
		yield warn(
			name,
			f"none: no *.log in {run.bench.logs}, and no unit of systemd; no verdict will be GO",
			"let the services log into that directory, as `bench setup supervisor` has it, or run them as systemd units",
		)
	elif units and (hindrance := journald.find_hindrance(units)):
		user = getpass.getuser()
		yield warn(
			name,
			f"{found}; the journal of {', '.join(units)} can't be read: {hindrance}",
			f"sudo usermod --append --groups {journald.GROUP} {user}, then log in again and restart the helper",
		)
	else:
		yield ok(name, f"{found}; the journal of {', '.join(units)}" if units else found)


def size_of(run: Run, ports: Ports, site: str) -> int:
	"""Bytes of a site: database and files."""
	files = sum(
		file.stat().st_size
		for folder in ("public", "private")
		for file in (run.bench.site(site) / folder / "files").rglob("*")
		if file.is_file() and not file.is_symlink()
	)
	try:
		return files + (ports.databases.sites[site].size_bytes() or 0)
	except (DatabaseUnavailable, OSError):
		# check_databases says so; here it only means that the figure is too low.
		return files


def _gigabytes(size: int) -> str:
	return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
