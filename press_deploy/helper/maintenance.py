"""Maintenance mode of sites, under leases.

Invariant: the lease, with the values that were there before, is on disk before the first file is
changed, and goes only when every file is back. So whatever is killed in between, a second attempt
knows what to restore. A site is in at most one lease.
"""

from __future__ import annotations

from dataclasses import replace

from . import policy
from .bench_user import BenchUser
from .errors import BadRequest, Conflict, HelperError, NotFound, OperationFailed
from .leases import Lease, Leases

# An integer, as Frappe itself writes it: the text "0" would count as on.
ON = {"present": True, "value": 1}


class Maintenance:
	"""Switches maintenance of one bench's sites."""

	def __init__(self, bench_user: BenchUser, leases: Leases):
		self._bench_user = bench_user
		self._leases = leases

	def switch_on(self, run: str, sites: list[str], lease_seconds: int) -> dict:
		"""Put sites into maintenance for a run; return `{"previous", "lease"}`.

		Called again by the same run, it extends the lease and returns the first previous values.
		"""
		with self._leases.locked():
			before = self._leases.load()
			self._refuse_held(before, run, sites)
			held = before[run].previous if run in before else {}
			found = self._read([site for site in sites if site not in held])
			previous = {**held, **self._inherit(before, found)}
			lease = self._leases.grant(run, tuple(previous), previous, lease_seconds)
			self._leases.save({**_without_sites(before, lease.sites), run: lease})
			try:
				self._write({site: ON for site in sites}, keep_going=False)
			except HelperError as error:
				self._put_back(before, found, error)
			return {"previous": previous, "lease": lease.describe()}

	def renew(self, run: str, lease_seconds: int) -> dict:
		"""Give a run's lease new time, expired or not; return it. Raises NotFound when there is none."""
		with self._leases.locked():
			leases = self._leases.load()
			if run not in leases:
				raise NotFound(f"The run {run} holds no maintenance lease; switch maintenance on first.")
			lease = leases[run]
			leases[run] = self._leases.grant(run, lease.sites, lease.previous, lease_seconds)
			self._leases.save(leases)
			return leases[run].describe()

	def switch_off(self, run: str, sites: list[str], previous: dict) -> dict:
		"""Give sites their previous values back, and release them from the run's lease; return `{}`."""
		if set(previous) != set(sites):
			raise BadRequest("previous must hold exactly the sites that are named in sites.")
		with self._leases.locked():
			before = self._leases.load()
			self._refuse_held(before, run, sites)
			self._write(previous, keep_going=True)
			self._leases.save(_without_sites(before, sites))
			return {}

	def _refuse_held(self, leases: dict[str, Lease], run: str, sites: list[str]) -> None:
		for lease in leases.values():
			shared = sorted(set(lease.sites) & set(sites))
			if lease.run != run and shared and self._leases.is_live(lease):
				seconds = max(0, round(lease.expires_at - self._leases.clock.wall()))
				raise Conflict(
					f"{', '.join(shared)}: the run {lease.run} holds maintenance for another {seconds} s "
					f"(until {lease.expires_at:.0f} in epoch seconds). Wait for it, or abort it."
				)

	def _inherit(self, leases: dict[str, Lease], found: dict) -> dict:
		"""Where a dead run left a site in maintenance, what was there before that run is the truth."""
		inherited = dict(found)
		for lease in leases.values():
			for site in set(lease.sites) & set(found):
				if found[site] == ON and type(found[site]["value"]) is int:
					inherited[site] = lease.previous[site]
		return inherited

	def _put_back(self, before: dict[str, Lease], found: dict, cause: HelperError) -> None:
		what = f"Maintenance was not switched on: {cause}"
		try:
			self._write(found, keep_going=True)
		except HelperError as error:
			raise OperationFailed(
				f"{what} Putting the sites back failed as well: {error} The lease is kept, so that the run "
				"is resumed when it expires. Correct the cause, then switch maintenance off."
			) from error
		self._leases.save(before)
		raise OperationFailed(f"{what} The sites already changed were put back.") from cause

	def _read(self, sites: list[str]) -> dict:
		found = self._bench_user.perform("read_maintenance", sites=sites)
		if found.keys() != set(sites):
			raise OperationFailed("Reading maintenance_mode gave an answer for other sites than asked.")
		for site, value in found.items():
			try:
				policy.check_previous_value(value)
			except BadRequest as error:
				raise OperationFailed(
					f"The maintenance_mode of {site} is nothing that could be put back later ({error}). "
					f"Correct it: bench --site {site} set-maintenance-mode off"
				) from None
		return found

	def _write(self, values: dict, keep_going: bool) -> None:
		if values:
			self._bench_user.perform("write_maintenance", values=values, keep_going=keep_going)


def _without_sites(leases: dict[str, Lease], sites: list[str] | tuple[str, ...]) -> dict[str, Lease]:
	"""Return the leases with these sites released; a lease without sites is none."""
	remaining = {}
	for run, lease in leases.items():
		kept = {site: value for site, value in lease.previous.items() if site not in sites}
		if kept:
			remaining[run] = replace(lease, sites=tuple(kept), previous=kept)
	return remaining
