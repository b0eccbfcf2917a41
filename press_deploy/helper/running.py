"""The helper that runs: lets it take over what was installed, and says whether it has.

Invariant: what is said of it is what it answered, not what was asked of it.
"""

from __future__ import annotations

import os
import time

from .client import HelperClient
from .errors import Denied, HelperError, OperationFailed, Unreachable
from .places import Places
from .services import Supervisor
from .supervisor import SupervisorConnection

PROGRAM = "press-deploy-helper"
ANSWER_SECONDS = 5.0
RESTART_SECONDS = 60.0
POLL_SECONDS = 0.2
START_AGAIN = f"supervisorctl restart {PROGRAM}, or end the process that you started, and start it again"


def restart_under_supervisor(places: Places, login: dict) -> bool:
	"""Restart the helper where a supervisord of ours has it; say whether one has. Raises HelperError."""
	for socket in filter(os.path.exists, places.supervisor_sockets):
		supervisor = Supervisor(SupervisorConnection(socket, **login, owners={os.geteuid()}))
		try:
			supervisor.status(PROGRAM)
		except HelperError:
			continue
		supervisor.stop(PROGRAM)
		_wait_for(supervisor, ("STOPPED", "FAILED"))
		supervisor.start(PROGRAM)
		_wait_for(supervisor, ("RUNNING",))
		return True
	return False


def answers(places: Places) -> bool:
	"""Say whether a helper listens, whatever it answers."""
	try:
		HelperClient(places.socket, "", ANSWER_SECONDS).status()
	except Unreachable:
		return False
	except HelperError:
		pass
	return True


def describe(places: Places, name: str, sites: list[str]) -> list[str]:
	"""Return a line that says whether the helper that runs serves the bench with these sites."""
	try:
		served = _ask_for_sites(places, name)
	except Unreachable as error:
		return [f"No helper answers: {error}"]
	except Denied as error:
		return [f"The helper that runs does not serve {name} yet ({error}) Restart it: {START_AGAIN}."]
	except HelperError as error:
		return [f"The helper that runs serves {name}, and says: {error}"]
	if served == sites:
		return [f"The helper that runs serves {name} with all its sites."]
	return [f"The helper that runs serves {name} as before. Restart it: {START_AGAIN}."]


def _ask_for_sites(places: Places, name: str) -> list[str] | None:
	"""Ask the helper, which may just be starting."""
	deadline = time.monotonic() + ANSWER_SECONDS
	while True:
		try:
			return HelperClient(places.socket, name, ANSWER_SECONDS).status().get("sites")
		except Unreachable:
			if time.monotonic() > deadline:
				raise
		time.sleep(POLL_SECONDS)


def _wait_for(supervisor: Supervisor, states: tuple[str, ...]) -> None:
	deadline = time.monotonic() + RESTART_SECONDS
	while (status := supervisor.status(PROGRAM))["state"] not in states:
		if time.monotonic() > deadline:
			raise OperationFailed(
				f"Restarting {PROGRAM} came no further than {status['description']}. See why: "
				f"supervisorctl status {PROGRAM}; supervisorctl tail {PROGRAM} stderr"
			)
		time.sleep(POLL_SECONDS)
