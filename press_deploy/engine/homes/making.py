"""Making a home, and removing those that nobody needs.

Invariant: a home that has its name is whole and on the disk; it is made beside, under another name. Files are copied,
not linked: what is written into a file of the environment must not reach a home.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import DeployError, Refused
from press_deploy.engine.ground.users import name_user
from press_deploy.engine.homes import start
from press_deploy.engine.homes.home import HOMES, START, Home, home_of
from press_deploy.engine.homes.installed import list_installed
from press_deploy.engine.journal.run_directory import list_runs

LOCK, MAKING, DAMAGED = ".lock", ".making-", ".damaged-"
# One that is made, and whose run is about to be, is younger.
UNUSED_SECONDS = 86_400
IMPORT_SECONDS = 300
Say = Callable[[str], None]
# Compiles what a run imports, and shows that the files of the home are enough for it.
IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import press_deploy.cli, press_deploy.engine
for package in (press_deploy.engine, press_deploy.cli):
	for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
		if not module.name.endswith(("__main__", "cli.demo")):
			importlib.import_module(module.name)
"""


def make_home(bench: Bench, version: str, say: Say = lambda line: None) -> Home:
	"""The home of what is installed in the environment of this process: the one that is there, or a new one.

	`version` is that of this app, for the name. `say` is told when it takes a while. Raises `Refused` where one can't
	be made.
	"""
	_require_own(bench)
	sources, python = list_installed(), find_base_interpreter()
	files = {name: start.digest(str(path)) for name, path in sources.items()}
	homes = bench.deployments / HOMES
	home = Home(homes / start.name_of(version, python, files))
	try:
		for directory in (bench.deployments, homes):
			directory.mkdir(mode=0o700, exist_ok=True)
		with _locked(homes, say):
			if home.find_damage() is None:
				return home
			say(f"Making {home.path}, which runs of press_deploy {version} are executed from")
			_make(home, version, python, sources, files)
	except OSError as error:
		place = shlex.quote(str(homes))
		why = f"{error.filename or homes}: {error.strerror}"
		raise Refused(
			"Making", str(home.path), why, f"see the disk and its rights: df -h {place}; ls -ld {place}"
		) from None
	if why := home.find_damage():
		raise Refused(
			"Making", str(home.path), f"{why}, meanwhile", "try again when nobody installs anything"
		)
	return home


def _require_own(bench: Bench) -> None:
	"""Raise `Refused` for somebody else's bench: what root makes there locks its own user out."""
	owner = bench.path.stat().st_uid
	if os.geteuid() != owner:
		raise Refused(
			"Making a home in",
			str(bench.deployments / HOMES),
			f"the bench belongs to {name_user(owner)}, and this process to {name_user(os.geteuid())}",
			f"do it as its user: sudo -u {name_user(owner)} {bench.command_to_type('…')}",
		)


def _make(home: Home, version: str, python: str, sources: dict[str, Path], files: dict[str, str]) -> None:
	for left in home.path.parent.glob(f"{MAKING}*"):
		_remove(left)
	# Who was killed may have left a child that still imports: no attempt gets in the way of another.
	making = home.path.with_name(f"{MAKING}{home.name}-{os.getpid()}")
	try:
		_copy(sources, making / start.PACKAGES)
		compiled = _import_all(python, making / start.PACKAGES)
		_write_facts(making, version, python, files, compiled)
		_put_in_place(making, home.path)
	finally:
		_remove(making)


def find_base_interpreter() -> str:
	"""The interpreter below the environment of this process, which is no part of it."""
	return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def remove_unused(bench: Bench, now: datetime) -> Iterator[str]:
	"""Remove the homes that no run on the disk is executed from, and yield which.

	While some run can't be read, all stay. Raises `OSError`.
	"""
	homes = bench.deployments / HOMES
	if not homes.is_dir():
		return
	try:
		used = {home.name for run in list_runs(bench.path) if (home := home_of(bench, run))}
	except DeployError:
		return
	with _locked(homes):
		for path in sorted(homes.iterdir()):
			is_old = now.timestamp() - path.lstat().st_mtime > UNUSED_SECONDS
			if path.name not in (*used, LOCK) and is_old and _remove(path):
				yield f"home {path.name}, which no run is executed from"


def _copy(sources: dict[str, Path], packages: Path) -> None:
	for name, source in sources.items():
		target = packages / name
		target.parent.mkdir(parents=True, exist_ok=True)
		shutil.copyfile(source, target)


def _import_all(python: str, packages: Path) -> dict[str, str]:
	"""Import everything once, and return the SHA-256 of what Python compiled. Raises `Refused`."""
	before = set(start.list_files(str(packages)))
	if why := _find_failure([python, *start.ISOLATION, "-c", IMPORT_ALL, str(packages)]):
		raise Refused(
			"Importing all of",
			str(packages),
			f"what is installed is not enough: {why}",
			"install what press_deploy asks for: env/bin/python -m pip install -e apps/press_deploy",
		)
	compiled = set(start.list_files(str(packages))) - before
	return {name: start.digest(str(packages / name)) for name in compiled}


def _find_failure(command: list[str]) -> str | None:
	quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "cwd": "/"}
	try:
		ended = subprocess.run(command, timeout=IMPORT_SECONDS, **quiet)
	except subprocess.TimeoutExpired:
		return f"it was not done after {IMPORT_SECONDS} s"
	said = ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"]
	return said[-1] if ended.returncode else None


def _write_facts(
	home: Path, version: str, python: str, files: dict[str, str], compiled: dict[str, str]
) -> None:
	facts = {
		"version": version,
		"python": python,
		"cache_tag": sys.implementation.cache_tag,
		"files": files,
		"compiled": compiled,
	}
	(home / START).write_text(start.write_start(python, Path(start.__file__).read_text()))
	facts["start"] = start.digest(str(home / START))
	(home / start.FACTS).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


def _put_in_place(making: Path, home: Path) -> None:
	# Thousands of small files, in one go: what has its name is on the disk.
	os.sync()
	damaged = home.with_name(f"{DAMAGED}{home.name}-{os.getpid()}")
	if os.path.lexists(home):
		home.rename(damaged)
	making.rename(home)
	durable.sync_directory(home.parent)
	_protect(home)
	_remove(damaged)


def _protect(home: Path) -> None:
	"""Let nobody change it by accident."""
	for place, directories, names in os.walk(home):
		for name in names:
			os.chmod(os.path.join(place, name), 0o500 if name == START else 0o400)
		for name in directories:
			os.chmod(os.path.join(place, name), 0o500)
	home.chmod(0o500)


def _remove(home: Path) -> bool:
	"""Whether it is gone. What can't be removed now, as root's, is tried again by the next who looks."""
	if home.is_symlink() or home.is_file():
		home.unlink()
	for place, directories, _names in os.walk(home):
		for path in (place, *(os.path.join(place, name) for name in directories)):
			with suppress(OSError):
				if not os.path.islink(path):
					os.chmod(path, 0o700)
	shutil.rmtree(home, ignore_errors=True)
	return not os.path.lexists(home)


@contextmanager
def _locked(homes: Path, say: Say = lambda line: None) -> Iterator[None]:
	"""One process at a time makes or removes homes."""
	with (homes / LOCK).open("a") as file:
		try:
			fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
		except BlockingIOError:
			say(f"Waiting for who makes or removes homes in {homes}")
			fcntl.flock(file, fcntl.LOCK_EX)
		yield
