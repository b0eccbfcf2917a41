"""`python -m press_deploy.demo start|stop DIRECTORY`: the services of a practice bench that was kept."""

from __future__ import annotations

import sys

from press_deploy.demo.build import open_or_build
from press_deploy.engine.ground.errors import InputError

USAGE = "python -m press_deploy.demo start|stop DIRECTORY"


def main(arguments: list[str]) -> int:
	"""Start the services (building the bench if there is none yet), or stop them; return the exit code."""
	if len(arguments) != 2 or arguments[0] not in ("start", "stop"):
		print(f"Usage: {USAGE}", file=sys.stderr)
		return 2
	try:
		bench = open_or_build(arguments[1])
	except InputError as error:
		print(error, file=sys.stderr)
		return 2
	bench.start() if arguments[0] == "start" else bench.stop()
	print(f"{bench.path}: {f'serving at {bench.address}' if arguments[0] == 'start' else 'stopped'}")
	return 0


if __name__ == "__main__":
	sys.exit(main(sys.argv[1:]))
