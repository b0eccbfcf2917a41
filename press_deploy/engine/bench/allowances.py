"""What a plan from Desk may hold only where the shell user of the bench allows it: whatever runs code as that user,
or reaches another site than the one whose Desk it comes from.

Invariant: the keys below are read in `common_site_config.json` and nowhere else. A site's own configuration, which
Frappe puts over the common one, switches nothing on, and no plan may change them. A value that is not exactly what
is asked for allows nothing.

A plan that the shell user starts from a file of his own needs none of this: he is the one who could allow it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.plan.spec import App, ConsoleCheck, PlanSpec

CONSOLE_TESTS = "press_deploy_allow_console_tests"
BOOT_CHECK = "press_deploy_allow_boot_check"
COPY_SOURCES = "press_deploy_copy_sources"
CONFIG_KEYS = "press_deploy_config_keys"
SITES = "press_deploy_sites"

# Frappe reads pickles from Redis and runs its jobs, lets server scripts be written, writes code into apps.
_LEADS_TO_CODE = re.compile(
	r"server_script_enabled|developer_mode|extra_config|local_infile|install_apps|workers|(redis|rq|replica|chrom\w*)_.*|.*root_login"
)
# Of a site's directory, what may be a link to another disk.
_IN_SITES = ("", "public", "private", "public/files", "private/files", "private/backups")


def find_forbidden(bench: Bench, spec: PlanSpec) -> list[InputError]:
	"""Everything in a plan that the shell user has not allowed, each with the field and the command to type."""
	common = bench.read_common_config()
	return [
		*_console_tests(common, spec),
		*_boot_check(common, spec),
		*_config_keys(bench, common, spec),
		*_copies(bench, common, spec),
		*_other_sites(common, spec),
	]


def is_allowed(bench: Bench, key: str) -> bool:
	"""Whether the shell user has switched this key on: `true` or `1`, and no text."""
	return _is_on(bench.read_common_config().get(key))


def is_own_file(bench: Bench, plan: Path) -> bool:
	"""Whether a plan's file may be the shell user's own: those of runs, and what lies in a site, came from Desk."""
	path = _follow(plan)
	foreign = (bench.deployments, bench.sites_directory, *map(bench.site, bench.sites()))
	return not any(path.is_relative_to(_follow(each)) for each in foreign)


def forbid_console(field: str, name: str, found: Any = None) -> InputError:
	"""Why a console test is refused; `found` is what stands at its key."""
	return _forbid(field, name, "it is Python that runs as the bench's user", CONSOLE_TESTS, found)


def _console_tests(common: dict[str, Any], spec: PlanSpec) -> Iterator[InputError]:
	found = common.get(CONSOLE_TESTS)
	for number, test in enumerate(spec.smoke_tests):
		if isinstance(test, ConsoleCheck) and not _is_on(found):
			yield forbid_console(f"smoke_tests.{number}.smoke_test", test.name, found)


def _boot_check(common: dict[str, Any], spec: PlanSpec) -> Iterator[InputError]:
	found = common.get(BOOT_CHECK)
	if spec.backup.boot_check and not _is_on(found):
		why = "it is Python that runs as the bench's user"
		yield _forbid("backup.boot_check", spec.backup.boot_check, why, BOOT_CHECK, found)


def _config_keys(bench: Bench, common: dict[str, Any], spec: PlanSpec) -> Iterator[InputError]:
	allowed = _texts(common.get(CONFIG_KEYS))
	is_alone = spec.control_site is None or set(bench.sites()) <= {spec.control_site, *_group(common, spec)}
	for number, change in enumerate(spec.config):
		if change.scope == "common" and not is_alone and change.key not in allowed:
			why = "it is set for every site of the bench, not only for those that this plan may reach"
			yield _forbid_entry(f"config.{number}.key", change.key, why, CONFIG_KEYS, allowed)
			continue
		if _LEADS_TO_CODE.fullmatch(change.key) and change.key not in allowed:
			why = "it lets people of the site run code as the bench's user"
			yield _forbid_entry(f"config.{number}.key", change.key, why, CONFIG_KEYS, allowed)


def _copies(bench: Bench, common: dict[str, Any], spec: PlanSpec) -> Iterator[InputError]:
	allowed = _texts(common.get(COPY_SOURCES))
	for number, app in enumerate(spec.apps):
		if app.method != "copy":
			continue
		source = f"{app.ssh_host}:{app.source}" if app.ssh_host else str(app.source)
		if not app.ssh_host and (upload := _find_in_sites(bench, app)):
			remedy = "put the files into a directory that only the bench's user writes to"
			yield InputError(
				f"apps.{number}.source", source, f"{upload} is in a site's directory, with uploads", remedy
			)
		elif not _is_source_allowed(app, allowed):
			why = "what is copied from there runs as the bench's user"
			yield _forbid_entry(f"apps.{number}.source", source, why, COPY_SOURCES, allowed)


def _group(common: dict[str, Any], spec: PlanSpec) -> list[str]:
	"""The sites that belong together with the plan's own, which is one of them."""
	allowed = _texts(common.get(SITES))
	return allowed if spec.control_site in allowed else []


def _other_sites(common: dict[str, Any], spec: PlanSpec) -> Iterator[InputError]:
	"""Sites that the plan's own would close, configure, back up to places of its choice, or run tests on."""
	allowed, own = _texts(common.get(SITES)), spec.control_site
	if own is None:
		return  # It is in no Desk.
	named = [(f"sites.{number}.site", site.name) for number, site in enumerate(spec.sites)]
	if spec.test_site:
		named.append(("test_site", spec.test_site))
	others = [(field, site) for field, site in named if site != own and not {own, site} <= set(allowed)]
	for field, site in others:
		why = f"the plan stands in Desk of {own}, and would reach another site"
		yield _forbid_entry(field, site, why, SITES, allowed, [own, *(each for _field, each in others)])


def _is_source_allowed(app: App, allowed: list[str]) -> bool:
	"""Whether every file comes from an allowed place: DIRECTORY, HOST or HOST:DIRECTORY."""
	if app.ssh_host:
		places = [entry.removeprefix(f"{app.ssh_host}:") for entry in allowed if ":" in entry]
		below = any(
			_is_absolute(place) and PurePosixPath(app.source).is_relative_to(place) for place in places
		)
		return app.ssh_host in allowed or below
	directories = [_follow(Path(entry)) for entry in allowed if _is_absolute(entry)]
	return all(any(path.is_relative_to(each) for each in directories) for path in _sources(app))


def _find_in_sites(bench: Bench, app: App) -> Path | None:
	"""A source that lies in the directory of a site, whatever links lead there; such a place is never allowed."""
	sites = [
		bench.sites_directory,
		*(bench.site(name) / part for name in bench.sites() for part in _IN_SITES),
	]
	resolved = {_follow(path) for path in sites}
	return next((path for path in _sources(app) if any(path.is_relative_to(site) for site in resolved)), None)


def _sources(app: App) -> list[Path]:
	"""Where the files really are."""
	return [_follow(Path(app.source)), *(_follow(Path(app.source) / file.path) for file in app.files)]


def _follow(path: Path) -> Path:
	"""Where a path leads. Links that lead in circles lead nowhere that could be allowed."""
	try:
		return path.resolve()
	except (OSError, RuntimeError):
		return Path("/")


def _is_absolute(place: str) -> bool:
	return place.startswith("/") and ".." not in PurePosixPath(place).parts


def _is_on(value: Any) -> bool:
	return value is True or (type(value) is int and value == 1)


def _texts(value: Any) -> list[str]:
	"""The entries of a list; anything that is no list of texts allows nothing."""
	is_list = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
	return value if is_list else []


def _forbid(field: str, value: object, why: str, key: str, found: Any) -> InputError:
	told = "" if found is None else f", and {key} is {found!r} now"
	return InputError(
		field,
		value,
		f"{why}, which nobody has allowed in a shell of this bench{told}",
		_say_how(f"bench set-config -g {key} 1"),
	)


def _forbid_entry(
	field: str, entry: str, why: str, key: str, allowed: list[str], missing: list[str] | None = None
) -> InputError:
	"""`missing` are the entries that would allow it, where `entry` alone would not."""
	wanted = dict.fromkeys([*allowed, *(missing or [entry])])
	# No entry holds a character that means anything to a shell within double quotes, or the whole is quoted safely.
	value, words = str(list(wanted)), ["bench", "set-config", "-g", "-p", key]
	is_plain = re.fullmatch(r"[\w\[\]', ./:@+=-]*", value, re.ASCII)
	command = f'{shlex.join(words)} "{value}"' if is_plain else shlex.join([*words, value])
	return InputError(
		field,
		entry,
		f"{why}, and nobody has named it in {key} in a shell of this bench",
		_say_how(command),
	)


def _say_how(command: str) -> str:
	# Not at the end, where a form puts a full stop behind it.
	return f"if it is to be allowed, type `{command}` in a shell of this bench"
