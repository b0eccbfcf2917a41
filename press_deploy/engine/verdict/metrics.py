"""The table of metrics: what is watched of a release, one entry each.

Sampler, verdict, triggers and charts walk this table, and ask no metric by its name. A new one is an entry, with a
gauge in `watching/gauges.py` where it is sampled, and its limit in the plan's `Thresholds`.
"""

from __future__ import annotations

from dataclasses import dataclass

from press_deploy.engine.verdict import figures
from press_deploy.engine.verdict.figures import LATENCY_NOISE_MS, Judge
from press_deploy.engine.watching import gauges
from press_deploy.engine.watching.gauges import Gauge


@dataclass(frozen=True)
class Chart:
	"""A small chart in the report. Without `top` the highest value sets it."""

	top: float | None = None


@dataclass(frozen=True)
class Metric:
	"""What it is called and measured in, how it is sampled, judged and drawn."""

	name: str
	unit: str
	# The field of the plan's thresholds; where the plan leaves it empty, the metric is not judged.
	threshold: str
	judge: Judge
	# How figure and limit are written in a verdict, each with its unit.
	shown: str = ".0f"
	wanted: str = "≤ {}"
	# One that is down must not hide among many sites that are well.
	of_each_site: bool = False
	# The field of the plan's triggers that says what follows when the limit is broken; without, a person decides.
	trigger: str = ""
	# Its column in the samples, and its name in the report's data.
	column: str = ""
	key: str = ""
	gauge: Gauge | None = None
	chart: Chart | None = None

	def write_figure(self, figure: float) -> str:
		return f"{figure:{self.shown}} {self.unit}".strip()

	def write_limit(self, limit: float) -> str:
		number = f"{limit:g}" if isinstance(limit, float) else str(limit)
		return self.wanted.format(f"{number} {self.unit}".strip())


ERROR_RATE = Metric(
	name="Error rate",
	unit="%",
	threshold="error_rate_percent",
	judge=figures.share_of_bad_answers,
	shown=".1f",
	of_each_site=True,
	trigger="error_rate",
)
# The report draws it large, with the baseline and the bad answers.
LATENCY = Metric(
	name="Latency",
	unit="ms",
	threshold="latency_ms",
	judge=figures.slowest_answers,
	shown="g",
	wanted="< {}",
	of_each_site=True,
	trigger="latency",
	column="latency_ms",
	key="latency_ms",
	gauge=gauges.latency_ms,
)
DEGRADATION = Metric(
	name="Latency against baseline",
	unit="%",
	threshold="latency_degraded_percent",
	judge=figures.slower_than_before,
	shown="+.0f",
	wanted=f"≤ +{{}} (and more than {LATENCY_NOISE_MS:g} ms)",
	of_each_site=True,
	trigger="latency",
)
CPU = Metric(
	name="CPU",
	unit="%",
	threshold="cpu_percent",
	judge=figures.middle_of_samples,
	column="cpu_percent",
	key="cpu",
	gauge=gauges.cpu_percent,
	chart=Chart(top=100.0),
)
MEMORY = Metric(
	name="Memory",
	unit="%",
	threshold="memory_percent",
	judge=figures.middle_of_samples,
	column="memory_percent",
	key="memory",
	gauge=gauges.memory_percent,
	chart=Chart(top=100.0),
)
CONNECTIONS = Metric(
	name="Database connections",
	unit="",
	threshold="database_connections",
	judge=figures.highest_sample,
	column="database_connections",
	key="connections",
	gauge=gauges.database_connections,
	chart=Chart(),
)
LOG_ERRORS = Metric(
	name="New errors in logs",
	unit="",
	threshold="new_log_errors",
	judge=figures.errors_in_logs,
	trigger="log_errors",
	column="log_errors",
	key="log_errors",
	gauge=gauges.log_errors,
)

METRICS = (ERROR_RATE, LATENCY, DEGRADATION, CPU, MEMORY, CONNECTIONS, LOG_ERRORS)


def sampled() -> list[Metric]:
	"""Those of which there is a figure in each sample, in the order of the file's columns."""
	return [metric for metric in METRICS if metric.gauge]


def list_gauges() -> dict[str, Gauge]:
	"""{column: gauge}, for the sampler."""
	return {metric.column: metric.gauge for metric in sampled()}
