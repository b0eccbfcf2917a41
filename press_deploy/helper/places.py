"""Where the parts of an installed helper are.

Invariant: every place is below the prefix, and with the prefix "/" no group or other may write above it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from . import service_files

UNIT_NAME = "press-deploy-helper.service"


CODE = "opt/press_deploy_helper"


def find_own_places() -> Places | None:
	"""Return the places of the installation that this very code is a part of; None for a bench's copy."""
	code = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
	return Places(code.removesuffix(CODE)) if code.endswith(f"/{CODE}") else None


@dataclass(frozen=True)
class Places:
	"""Where the parts go, below a prefix. Not /usr/local: on many Debians a group may write there."""

	prefix: str = "/"

	def _below(self, path: str) -> str:
		return os.path.join(os.path.abspath(self.prefix), path)

	@property
	def code(self) -> str:
		return self._below(CODE)

	@property
	def configuration(self) -> str:
		return self._below("etc/press_deploy/helper.json")

	@property
	def state(self) -> str:
		return self._below("var/lib/press_deploy")

	@property
	def audit_log(self) -> str:
		return self._below("var/log/press_deploy/helper.log")

	@property
	def socket(self) -> str:
		return self._below("run/press_deploy/helper.sock")

	@property
	def unit(self) -> str:
		return self._below(f"etc/systemd/system/{UNIT_NAME}")

	@property
	def script(self) -> str:
		"""Root's own command. In /usr/sbin, because in /usr/local a group may write, see above."""
		return self._below("usr/sbin/press-deploy-helper")

	@property
	def supervisor_sockets(self) -> tuple[str, ...]:
		"""Where a supervisord of the system listens."""
		return tuple(self._below(path) for path in ("run/supervisor.sock", "run/supervisor/supervisor.sock"))

	@property
	def command(self) -> list[str]:
		return [*self.command_of_code, "--config", self.configuration]

	@property
	def command_of_code(self) -> list[str]:
		"""What runs the installed code, to which a person's words are added."""
		return service_files.build_command(self.code)

	@property
	def has_systemd(self) -> bool:
		"""Whether the service can be registered; never below a prefix, that is not the real system."""
		return self.prefix == "/" and os.path.isdir("/run/systemd/system")
