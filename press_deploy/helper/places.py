"""Where the parts of an installed helper are.

Invariant: every place is below the prefix, and with the prefix "/" no group or other may write above it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from . import service_files

UNIT_NAME = "press-deploy-helper.service"


@dataclass(frozen=True)
class Places:
	"""Where the parts go, below a prefix. Not /usr/local: on many Debians a group may write there."""

	prefix: str = "/"

	def _below(self, path: str) -> str:
		return os.path.join(os.path.abspath(self.prefix), path)

	@property
	def code(self) -> str:
		return self._below("opt/press_deploy_helper")

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
	def command(self) -> list[str]:
		return service_files.build_command(self.code, self.configuration)

	@property
	def has_systemd(self) -> bool:
		"""Whether the service can be registered; never below a prefix, that is not the real system."""
		return self.prefix == "/" and os.path.isdir("/run/systemd/system")
