"""The port of doors: maintenance and its lease, the services behind it, and a visitor who sees what it does.

Invariant: what is closed is held under a lease: this process renews it, or has handed it over with an end.
"""

from __future__ import annotations

from press_deploy.engine.bench.answer import GOOD
from press_deploy.engine.bench.maintenance import LEASE_SECONDS, Lease, MaintenanceObserver
from press_deploy.engine.bench.services import Services
from press_deploy.engine.bench.web import Web
from press_deploy.engine.ground.errors import DeployError, StepFailed
from press_deploy.engine.steps.run import Run
from press_deploy.engine.watching.prober import Prober

# What the helper grants at the least and at the most.
SHORTEST_LEASE_SECONDS, LONGEST_LEASE_SECONDS = 10, 3600


class Doors:
	"""The sites of one run, to be closed, held closed, looked at and opened."""

	def __init__(self, run: Run, services: Services, web: Web):
		self._run, self.services, self.web = run, services, web
		self.lease = Lease(services, run.name, run.log)
		self.prober = Prober(web, run.spec.site_names, run.spec.monitor.path, run.directory.probes)
		self.maintenance = MaintenanceObserver(run.bench, services, web)

	def hold(self) -> None:
		"""Close the sites, or go on holding them closed. Safe to repeat."""
		self.services.maintenance_on(self._run.name, self._run.spec.site_names, LEASE_SECONDS)
		self.lease.keep()

	def keep_what_is_held(self) -> None:
		"""After a resume: the lease and the prober belong to the process, and it is a new one."""
		if self._run.has_closed_sites():
			self.hold()
			self.prober.ensure_started()

	def hand_over(self, seconds: float) -> None:
		"""Nobody renews any more: the helper resumes the run when these seconds are over, or earlier."""
		if self._run.state.is_closed:
			self.lease.hand_over(int(min(max(seconds, SHORTEST_LEASE_SECONDS), LONGEST_LEASE_SECONDS)))

	def leave_to_a_person(self) -> None:
		"""The run ends Fatal: nothing is to resume it by itself. What is closed stays closed, what is open open."""
		self.lease.close()
		self.release_lease()
		run = self._run
		try:
			if run.bench.sites_in_maintenance(run.spec.site_names):
				run.note("The sites stay in maintenance mode until a person opens them or rolls back again.")
			if run.state.has_held_workers:
				run.note("Background jobs of the whole bench wait as well, for an hour at most.")
		except DeployError as error:
			run.note(f"Whether the sites are in maintenance mode can't be told: {error}")

	def release_lease(self) -> None:
		"""End the lease of a run that is over, and change nothing; also one that a helper kept which was away."""
		run = self._run
		try:
			if self.services.has_lease(run.name):
				self.services.maintenance_off(run.name, run.maintenance_keys())
		except DeployError as error:
			# The run is over in any case; the helper asks again later.
			run.log(str(error))

	def check_they_hold(self) -> None:
		"""Raise when a visitor got through while the sites were meant to be closed."""
		state = self._run.state
		step = state.step("maintenance")
		if not (step and step.status == "done" and state.is_closed):
			return
		since = state.moment_of("maintenance")
		leaks = [probe for probe in self.prober.take() if probe.kind == GOOD and probe.time > since]
		if leaks:
			raise StepFailed(
				"Watching",
				leaks[0].site,
				f"{len(leaks)} visitor(s) were served while the site was meant to be in maintenance mode",
				"see whether another web server or a cache answers for this site besides the bench's own: "
				f"curl -sI -H 'Host: {leaks[0].site}' {self._run.bench.web_address}",
			)
