"""Starts the helper: `/usr/bin/python3 -I /opt/press_deploy_helper --config FILE`; or does what root asks for.

Invariant: as root it runs only code, and obeys only a configuration, that root alone can write.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys

from . import administration, configuration, trust
from .errors import ConfigurationRefused, HelperError
from .server import Server


def main(arguments: list[str] | None = None) -> int:
	"""Serve until SIGTERM or SIGINT, or do one of `administration.COMMANDS`; return the exit code."""
	arguments = sys.argv[1:] if arguments is None else arguments
	try:
		require_own_code_trusted()
		# What is created from here on must not be writable by others, whatever the caller's umask.
		os.umask(0o022)
		return serve(arguments) if "--config" in arguments else administration.main(arguments)
	except HelperError as error:
		print(f"press_deploy helper: {error}", file=sys.stderr)
		return 1


def serve(arguments: list[str]) -> int:
	"""Serve until SIGTERM or SIGINT. Raises HelperError."""
	parser = argparse.ArgumentParser(prog="press_deploy_helper", description="The helper of press_deploy.")
	parser.add_argument("--config", required=True, metavar="FILE", help="as `helper install` wrote it")
	options = parser.parse_args(arguments)
	file = configuration.ConfigurationFile(options.config)
	loaded = file.read()
	prepare_places(loaded)
	server = Server(loaded, file=file)
	# Whoever is used to say so may; it is read again by itself.
	signal.signal(signal.SIGHUP, lambda *_: None)
	for signal_number in (signal.SIGTERM, signal.SIGINT):
		signal.signal(signal_number, lambda *_: server.stop())
	server.serve()
	return 0


def require_own_code_trusted() -> None:
	"""As root, refuse to run from a place that others can write to. Raises ConfigurationRefused."""
	if os.geteuid() != 0:
		return
	directory = os.path.dirname(os.path.abspath(__file__))
	for name in os.listdir(directory):
		trust.require_root_owned(os.path.join(directory, name))


def prepare_places(loaded: configuration.Configuration) -> None:
	"""Make the directories of socket, state and log; as root, refuse those that others can write to.

	Somebody who could replace the socket would be asked in our place; who could replace the state would
	decide what is restored and started. Raises ConfigurationRefused.
	"""
	for directory in (loaded.state, os.path.dirname(loaded.socket), os.path.dirname(loaded.audit_log)):
		try:
			os.makedirs(directory, mode=0o755, exist_ok=True)
		except OSError as error:
			raise ConfigurationRefused(f"{directory} cannot be created: {error.strerror}.") from error
		if os.geteuid() == 0:
			trust.require_root_owned(directory)


if __name__ == "__main__":
	sys.exit(main())
