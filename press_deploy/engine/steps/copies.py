"""The port of copies: backups are made and proven through it, and brought away."""

from __future__ import annotations

from functools import cached_property

from press_deploy.engine.backup.booting import Booting
from press_deploy.engine.backup.making import Maker
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.bench.web import Web
from press_deploy.engine.plan.safe_places import SafePlaceSpec
from press_deploy.engine.plan.snapshots import Snapshot
from press_deploy.engine.safe_places import open_place
from press_deploy.engine.safe_places.base import SafePlace
from press_deploy.engine.snapshots import open_provider
from press_deploy.engine.snapshots.base import Provider
from press_deploy.engine.steps.run import Run

SECRETS_SECONDS = 60


class Copies:
	"""What makes the copies of one run, and where they go."""

	def __init__(self, run: Run, web: Web, site_processes: SiteProcesses):
		self._run, self._site_processes = run, site_processes
		self.booting = Booting(run.bench, run.directory.path, run.programs, web, site_processes)

	@cached_property
	def maker(self) -> Maker:
		return Maker(self._run.bench, self._site_processes, self._run.spec.backup, self._run.measure)

	def safe_places(self) -> list[SafePlace]:
		"""Every safe place of the plan, in its order. Raises as `safe_place`."""
		return [self.safe_place(spec) for spec in self._run.spec.backup.places]

	def safe_place(self, spec: SafePlaceSpec) -> SafePlace:
		"""One that the plan names. Raises `InputError` and `StepFailed` for missing credentials."""
		return open_place(spec, self._run.bench.path, self._run.programs, self._secrets.get("object_store"))

	def provider(self, spec: Snapshot) -> Provider:
		"""Who takes the plan's snapshot. Raises `InputError` for missing credentials."""
		return open_provider(spec, self._secrets.get("snapshot"))

	@cached_property
	def _secrets(self) -> dict[str, dict[str, str]]:
		"""Credentials that Deployment Settings hold, for those places and snapshots that want them from there."""
		backup = self._run.spec.backup
		wanted = [*backup.places, *([backup.snapshot] if backup.snapshot else [])]
		if not any(getattr(each, "credentials", "") == "settings" for each in wanted):
			return {}
		site = self._run.spec.control_site
		return self._site_processes.call("settings_secrets", site, timeout=SECRETS_SECONDS)
