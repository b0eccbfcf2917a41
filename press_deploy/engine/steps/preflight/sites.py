"""Are the sites ready: there, open, answering, with a database that is reachable and calm."""

from __future__ import annotations

from collections.abc import Iterator

from press_deploy.engine.bench.answer import GOOD
from press_deploy.engine.bench.program_logs import read_web_log
from press_deploy.engine.databases.engines import DEFAULT, find_engine
from press_deploy.engine.databases.unavailable import DatabaseUnavailable
from press_deploy.engine.ground.checks import Check, fail, ok, warn
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.site_files import require_real_roots
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.preflight.engines import list_sites_with_engine
from press_deploy.engine.steps.run import Run
from press_deploy.helper.errors import HelperError
from press_deploy.helper.site_config import read_config

LONG_SECONDS = 60
CONNECTIONS_PERCENT = 80
DESCRIBE_SECONDS = 60
# The site that reads this may not be told which others the bench has.
ITS_DIRECTORY = "write its name in the plan as its directory is called: ls {}"


def check_sites(run: Run, ports: Ports) -> Iterator[Check]:
	existing = run.bench.sites()
	for site in run.spec.site_names:
		name = f"Site {site}"
		if site not in existing:
			yield fail(
				name,
				"there is no such site on this bench",
				ITS_DIRECTORY.format(run.bench.sites_directory),
			)
			continue
		try:
			# Read as the run will change it: no link is followed, JSON must be an object.
			read_config(str(run.bench.site_config(site)))
			read_config(str(run.bench.common_config))
		except HelperError as error:
			yield fail(
				name,
				str(error),
				f"mend the file: {run.bench.site_config(site)} or {run.bench.common_config}",
			)
			continue
		if run.bench.read_config(site).get("maintenance_mode"):
			yield fail(
				name,
				"it is in maintenance mode already",
				f"bench --site {site} set-maintenance-mode off: the run closes and opens it by itself",
			)
		else:
			yield ok(name, "exists and is open")


def check_site_files(run: Run, ports: Ports) -> Iterator[Check]:
	for site in _known_sites(run) if run.spec.backup.with_files else ():
		try:
			require_real_roots(run.bench.site(site))
			yield ok(f"Files: {site}", "they are in the site's own directories")
		except DeployError as error:
			yield fail(
				f"Files: {site}", error.why, f"{error.remedy}, or leave files out of the plan's backup"
			)


def check_neighbours(run: Run, ports: Ports) -> Iterator[Check]:
	others = [site for site in run.bench.sites() if site not in run.spec.site_names]
	others = [site for site in others if site != run.spec.test_site]
	if others and (run.spec.apps or any(change.scope == "common" for change in run.spec.config)):
		yield warn(
			"Other sites of the bench",
			f"{len(others)} share code and common configuration, and stay open during the switch; their jobs wait for "
			"its end",
			"add them to the plan's sites if they matter",
		)
	else:
		yield ok("Other sites of the bench", "none that the plan leaves out")


def check_web(run: Run, ports: Ports) -> Iterator[Check]:
	for site in _known_sites(run):
		answer = ports.doors.web.ask(site, run.spec.monitor.path, public=True)
		if answer.kind == GOOD:
			yield ok(
				f"Web: {site}",
				f"{run.spec.monitor.path} answers {answer.status} in {answer.latency_ms:.0f} ms",
			)
		else:
			yield fail(
				f"Web: {site}",
				f"{run.spec.monitor.path} answers {answer.status or answer.kind}",
				f"mend the site first, a deployment could not be told from what is broken now: {read_web_log(run.bench)}",
			)


def check_databases(run: Run, ports: Ports) -> Iterator[Check]:
	for site in list_sites_with_engine(run):
		database, name = ports.databases.sites[site], f"Database: {site}"
		try:
			database.rows("SELECT 1")
			connections, maximum = database.connections(), database.maximum_connections()
			statements = database.long_statements(LONG_SECONDS)
		except DatabaseUnavailable as error:
			yield fail(name, f"it can't be reached: {error}", reach_database(run, site))
			continue
		if connections and maximum and connections > maximum * CONNECTIONS_PERCENT / 100:
			yield warn(
				name,
				f"{connections} of {maximum} connections in use",
				f"see who holds them: bench --site {site} db-console, then SHOW FULL PROCESSLIST",
			)
		if statements:
			yield warn(
				name,
				f"long at work: {'; '.join(statements[:3])}",
				"wait for them, a migration would; or end them: KILL, with the number that SHOW FULL PROCESSLIST names",
			)
		elif connections is None:
			yield ok(name, f"{database.engine.name}, reachable")
		else:
			yield ok(
				name, f"{database.engine.name}, reachable, {connections} of {maximum} connections in use"
			)


def check_site_processes(run: Run, ports: Ports) -> Iterator[Check]:
	for site in _known_sites(run):
		name = f"Frappe: {site}"
		try:
			about = ports.site_processes.call("describe", site, timeout=DESCRIBE_SECONDS)
		except DeployError as error:
			yield fail(name, error.why, f"{error.remedy}; does this work: bench --site {site} console")
			continue
		missing = [app.name for app in run.spec.apps if app.name not in about["apps"]]
		if missing:
			yield warn(
				name,
				f"{', '.join(missing)} not installed on this site",
				f"correct the plan's sites and apps, or: bench --site {site} install-app {missing[0]}",
			)
		else:
			yield ok(name, f"{about['framework']}; {', '.join(about['apps'])}")


def check_test_targets(run: Run, ports: Ports) -> Iterator[Check]:
	site, tests = run.spec.test_site, run.spec.critical_tests
	if not tests:
		yield warn("Critical tests", "the plan has none", "add at least the tests of what you deploy")
		return
	if site not in run.bench.sites():
		yield fail(
			"Critical tests",
			f"test site {site} is not on this bench",
			ITS_DIRECTORY.format(run.bench.sites_directory),
		)
		return
	for test in tests:
		yield _check_test(run, ports, test, site)


def _check_test(run: Run, ports: Ports, test, site: str) -> Check:
	name = f"Critical tests: {test.target}"
	try:
		problem = ports.site_processes.call(
			"check_tests",
			site,
			timeout=DESCRIBE_SECONDS,
			app=test.app,
			module=test.module,
			doctype=test.doctype,
		)["problem"]
	except DeployError as error:
		return fail(name, error.why, f"{error.remedy}; does this work: bench --site {site} console")
	if problem is None:
		return ok(name, f"found, to run on {site}")
	deployed = {app.name for app in run.spec.apps}
	if (test.module or test.app or "").split(".")[0] in deployed:
		return warn(
			name,
			problem,
			"fine if the release brings it; else correct the test's app, module or DocType in the plan: it will fail",
		)
	return fail(name, problem, "correct the test's app, module or DocType in the plan")


def reach_database(run: Run, site: str) -> str:
	"""What to do where a site's database can't be reached."""
	engine = find_engine(run.bench.read_config(site).get("db_type")) or DEFAULT
	return f"{engine.figures.START}, or mend {run.bench.site_config(site)}"


def _known_sites(run: Run) -> list[str]:
	return [site for site in run.spec.site_names if site in run.bench.sites()]
