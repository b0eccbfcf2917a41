"""The preview instance: a private web server that serves sites while the public gets 503.

It sees the bench through a second sites directory: links to everything, and copies of the configuration
without the maintenance key. Same code, same database.

Invariant: nobody but the bench's user reaches it: it listens at a unix socket in a directory of that user alone.
Nothing of it outlives the `with` block; a killed runner's instance, and its directory, are gone on resume.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.programs import Programs, end_group, redact
from press_deploy.engine.bench.web import Web
from press_deploy.engine.ground.errors import STEP_LOG, StepFailed
from press_deploy.engine.ground.unix_socket import address_of
from press_deploy.engine.ground.waiting import wait_until

START_SECONDS = 60
LOG, SOCKET = "preview.log", "web.sock"
# In a run's directory: the instance of its sites, and the one of a site on its standby database.
PREVIEW, BOOT = "preview", "boot"
# Of what the instance said, the end goes to the step's log: the directory is removed.
KEPT_BYTES = 50_000
LEFT_OUT = ("maintenance_mode",)
# Newer gunicorns open a control socket in the home directory, where instances would meet. Older ones
# pass over a setting that they don't know.
GUNICORN = "control_socket_disable = True\n"


@contextmanager
def open_preview(
	bench: Bench,
	sites: list[str],
	directory: Path,
	programs: Programs,
	web: Web,
	overrides: dict[str, Any] | None = None,
) -> Iterator[str]:
	"""Serve `sites` from below `directory`; yields the address. Raises `StepFailed` when it doesn't come up.

	`overrides` are keys of the sites' configuration that differ in the preview, such as another database.
	"""
	shutil.rmtree(directory, ignore_errors=True)
	try:
		sites_directory = _build_sites(bench, sites, directory, overrides or {})
		process = _start(bench, sites_directory, directory / LOG, programs)
		try:
			address = address_of(directory / SOCKET)
			_wait_until_up(process, web, sites[0], address, directory / LOG)
			yield address
		finally:
			end_group(process)
			process.wait()
			_keep_log(directory / LOG, programs)
	finally:
		shutil.rmtree(directory, ignore_errors=True)


def remove_leftovers(run: Path) -> None:
	"""Remove what a killed runner left in a run's directory: among it, configurations with passwords."""
	for name in (PREVIEW, BOOT):
		shutil.rmtree(run / name, ignore_errors=True)


def _build_sites(bench: Bench, sites: list[str], directory: Path, overrides: dict[str, Any]) -> Path:
	# The mode of a socket stops nobody everywhere; that of its directory does.
	directory.mkdir(parents=True, mode=0o700)
	root = directory / "sites"
	root.mkdir(mode=0o700)
	(directory / "logs").mkdir()
	for name in ("apps", "env", "config"):
		_link(bench.path / name, directory / name)
	for entry in bench.sites_directory.iterdir():
		if not (entry / "site_config.json").is_file() and entry != bench.common_config:
			_link(entry, root / entry.name)
	_copy_config(bench.common_config, root / bench.common_config.name)
	if not (root / "gunicorn.conf.py").exists():
		(root / "gunicorn.conf.py").write_text(GUNICORN)
	for site in sites:
		(root / site).mkdir()
		for entry in bench.site(site).iterdir():
			if entry != bench.site_config(site):
				_link(entry, root / site / entry.name)
		_copy_config(bench.site_config(site), root / site / "site_config.json", overrides)
	return root


def _link(target: Path, link: Path) -> None:
	if target.exists():
		link.symlink_to(target)


def _copy_config(source: Path, copy: Path, overrides: dict[str, Any] | None = None) -> None:
	config = {**json.loads(source.read_text()), **(overrides or {})}
	kept = {key: value for key, value in config.items() if key not in LEFT_OUT}
	descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
	with os.fdopen(descriptor, "w") as file:
		json.dump(kept, file)


def _start(bench: Bench, sites: Path, log: Path, programs: Programs) -> subprocess.Popen:
	command = [
		# As seen from `sites`: the kernel takes no long path for a socket.
		*(bench.python, "-m", "gunicorn", "--bind", f"unix:../{SOCKET}", "--workers", "1", "--threads", "4"),
		*("--timeout", "120", "--graceful-timeout", "1", bench.web_application),
	]
	with log.open("ab") as output:
		return subprocess.Popen(
			command,
			cwd=sites,
			env=programs.environment({"SITES_PATH": str(sites)}),
			stdin=subprocess.DEVNULL,
			stdout=output,
			stderr=output,
			start_new_session=True,
		)


def _wait_until_up(process: subprocess.Popen, web: Web, site: str, address: str, log: Path) -> None:
	answer = wait_until(
		lambda: web.ask(site, address=address),
		START_SECONDS,
		lambda answer: answer.status is not None or process.poll() is not None,
	)
	# Any answer means that it serves; what it answers is the smoke tests' affair.
	if answer.status is not None:
		return
	last = " | ".join(read_lines(log)[-3:])
	raise StepFailed(
		"Starting",
		f"the preview instance of {site}",
		last or f"it did not answer for {START_SECONDS} s",
		f"see {STEP_LOG} for all that it said; most often the code can't be imported",
	)


def read_lines(log: Path) -> list[str]:
	"""The last lines that an instance said, without credentials; none when nothing can be read."""
	try:
		said = log.read_bytes()[-KEPT_BYTES:].decode("utf-8", "replace")
	except OSError:
		return []
	return redact(said).strip().splitlines()


def _keep_log(log: Path, programs: Programs) -> None:
	for line in read_lines(log):
		programs.log.write(f"preview: {line}\n")
