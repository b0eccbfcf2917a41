"""How a figure is judged: what was seen and a limit go in, whether it is kept comes out, with the figure.

Invariant: what is not known is None and says why; none of these guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from press_deploy.engine.bench.answer import GOOD
from press_deploy.engine.watching.log_classes import Weight
from press_deploy.engine.watching.logs import count_against, describe_excused, weighing
from press_deploy.engine.watching.probes import Probe

# Below this a change in latency is noise of the machine, however many percent it is.
LATENCY_NOISE_MS = 20.0


@dataclass(frozen=True)
class Seen:
	"""What there is to judge by. `figures` are those that were sampled of the metric in question.

	Of a metric that is judged for each site, `probes` and `baseline` are those of one; fewer answers than
	`minimum` say nothing.
	"""

	figures: Sequence[float | None] = ()
	probes: Sequence[Probe] = ()
	baseline: Mapping[str, float] | None = None
	minimum: int = 1
	findings: Sequence[dict[str, Any]] = ()

	def latency(self) -> dict[str, float] | None:
		return latency_figures([probe.latency_ms for probe in self.probes if probe.kind == GOOD])

	def why_too_few(self) -> str:
		"""Empty where the answers are enough."""
		few = len(self.probes) < self.minimum
		return f"{len(self.probes)} answers, {self.minimum} are needed" if few else ""


@dataclass(frozen=True)
class Judged:
	"""Whether the limit is kept, None when nobody knows; the figure in the metric's unit; and by what it is known."""

	holds: bool | None
	figure: float | None
	evidence: str = ""


Judge = Callable[[Seen, float], Judged]


def latency_figures(latencies_ms: list[float]) -> dict[str, float] | None:
	"""Median and 95th percentile in milliseconds; None without figures."""
	if not latencies_ms:
		return None
	highest = (
		quantiles(latencies_ms, n=20, method="inclusive")[-1] if len(latencies_ms) > 1 else latencies_ms[0]
	)
	return {"median": round(median(latencies_ms), 2), "p95": round(highest, 2), "count": len(latencies_ms)}


def share_of_bad_answers(seen: Seen, limit: float) -> Judged:
	if too_few := seen.why_too_few():
		return _unknown(too_few)
	bad = [probe for probe in seen.probes if probe.kind != GOOD]
	rate = 100 * len(bad) / len(seen.probes)
	kinds = ", ".join(sorted({probe.kind for probe in bad}))
	evidence = f"{len(bad)} of {len(seen.probes)} answers bad" + (f" ({kinds})" if kinds else "")
	return Judged(rate <= limit, rate, evidence)


def slowest_answers(seen: Seen, limit: float) -> Judged:
	"""The 95th percentile of the good answers must stay below the limit."""
	found = seen.latency()
	if why := _why_no_latency(seen, found):
		return _unknown(why)
	evidence = f"95th percentile of {found['count']} answers; median {found['median']:g} ms"
	return Judged(found["p95"] < limit, found["p95"], evidence)


def slower_than_before(seen: Seen, limit: float) -> Judged:
	"""By how many percent the median is above that of the baseline."""
	found = seen.latency()
	if why := _why_no_latency(seen, found) or ("" if seen.baseline else "there is no baseline"):
		return _unknown(why)
	before = seen.baseline["median"]
	added = found["median"] - before
	percent = 100 * added / max(before, 0.001)
	evidence = f"median {before:g} ms before, {found['median']:g} ms now"
	return Judged(percent <= limit or added <= LATENCY_NOISE_MS, percent, evidence)


def middle_of_samples(seen: Seen, limit: float) -> Judged:
	"""The median must not exceed the limit: one full second is no spike, half the time is."""
	if not (known := [figure for figure in seen.figures if figure is not None]):
		return _unknown("no sample")
	middle = median(known)
	return Judged(middle <= limit, middle, f"median of {len(known)}, highest {max(known):.0f}")


def highest_sample(seen: Seen, limit: float) -> Judged:
	if not (known := [figure for figure in seen.figures if figure is not None]):
		return _unknown("no sample")
	return Judged(max(known) <= limit, max(known))


def errors_in_logs(seen: Seen, limit: float) -> Judged:
	"""Errors of the release against the limit; below it, what could not be read leaves the figure unknown."""
	count, unread = count_against(seen.findings), weighing(seen.findings, Weight.UNKNOWN)
	shown = [*weighing(seen.findings, Weight.AGAINST)[:3], *unread[:3]]
	worst = "; ".join(f"{each['count']} × {each['example'][:160]}" for each in shown)
	if excused := describe_excused(seen.findings):
		worst += f"{'; ' if worst else ''}not held against the release: {excused}"
	holds = count <= limit
	return Judged(None if holds and unread else holds, count, worst)


def _why_no_latency(seen: Seen, found: dict[str, float] | None) -> str:
	return seen.why_too_few() or ("" if found else "no good answer to measure")


def _unknown(why: str) -> Judged:
	return Judged(None, None, why)
