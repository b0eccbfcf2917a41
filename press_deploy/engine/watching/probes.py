"""What the prober of a run saw, as its file says it, and the outages that follow from it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from press_deploy.engine.bench.answer import GOOD, Answer

# How often each site is asked while it is closed.
WINDOW_INTERVAL_SECONDS = 0.1
# Two outages with less than this between them are one: nobody works in such a gap.
GAP_SECONDS = 1.0
COLUMNS = ["time", "site", "status", "kind", "latency_ms"]


@dataclass(frozen=True)
class Probe:
	"""One answer to the prober: `time` in epoch seconds when it was asked."""

	time: float
	site: str
	status: int | None
	kind: str
	latency_ms: float


@dataclass(frozen=True)
class Outage:
	"""A span in which a site answered badly: from the first bad answer to the first good one after it."""

	site: str
	first_bad: float
	last_bad: float
	seconds: float
	kinds: dict[str, int]


def as_probe(site: str, answer: Answer) -> Probe:
	return Probe(answer.time, site, answer.status, answer.kind, answer.latency_ms)


def read_probes(file: Path) -> list[Probe]:
	"""What the prober of a run wrote, in the order of asking. A torn line is passed over."""
	if not file.exists():
		return []
	probes = []
	with file.open(newline="", errors="replace") as rows:
		for row in csv.DictReader(rows):
			if None in row:  # More columns than there are: a torn line, and the next one behind it.
				continue
			try:
				status = int(row["status"]) if row["status"] else None
				probes.append(
					Probe(float(row["time"]), row["site"], status, row["kind"], float(row["latency_ms"]))
				)
			except (TypeError, ValueError, KeyError):
				continue
	return sorted(probes, key=lambda probe: probe.time)


def find_outages(probes: Iterable[Probe]) -> list[Outage]:
	"""The outages of each site, from probes in the order of asking."""
	by_site: dict[str, list[Probe]] = {}
	for probe in probes:
		by_site.setdefault(probe.site, []).append(probe)
	outages = [outage for site in by_site for outage in _outages_of(by_site[site])]
	return sorted(outages, key=lambda outage: outage.first_bad)


def downtime_seconds(outages: Iterable[Outage]) -> float:
	"""What users saw: the outages of the site that was away longest, in seconds."""
	per_site: Counter[str] = Counter()
	for outage in outages:
		per_site[outage.site] += outage.seconds
	return round(max(per_site.values(), default=0.0), 3)


def _outages_of(probes: list[Probe]) -> list[Outage]:
	outages: list[Outage] = []
	span: list[Probe] = []
	recovered: float | None = None
	for probe in probes:
		if probe.kind == GOOD:
			recovered = recovered or probe.time
		elif span and (recovered is None or probe.time - recovered < GAP_SECONDS):
			span.append(probe)
			recovered = None
		else:
			if span:
				outages.append(_outage(span, recovered))
			span, recovered = [probe], None
	return [*outages, _outage(span, recovered)] if span else outages


def _outage(span: list[Probe], recovered: float | None) -> Outage:
	first, last = span[0].time, span[-1].time
	until = recovered or last + WINDOW_INTERVAL_SECONDS
	kinds = dict(Counter(probe.kind for probe in span))
	return Outage(span[0].site, first, last, round(until - first, 3), kinds)
