"""How often the limits roll releases back, healthy ones and bad ones, and after how long; as a table.

    python -m tests.benchmarks.verdicts [WINDOWS]

Each line is that many half hours, made up by chance (`verdict/simulation.py`), beside what the runbook's words would
have done minute by minute.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from rich.console import Console
from rich.table import Table

from press_deploy.engine.verdict.simulation import Release, simulate, summarise
from press_deploy.engine.verdict.traffic import Limits

HEALTHY = [Release(rate) for rate in (0.2, 1.0, 5.0, 20.0)]
BAD = [
	Release(0.2, error_rate=0.15),
	Release(1.0, error_rate=0.15),
	Release(5.0, error_rate=0.15),
	Release(0.2, slowdown=2.0),
	Release(1.0, slowdown=2.0),
	Release(5.0, slowdown=2.0),
]
# A release that is bad ends a window early: a tenth of them says as much.
PART_OF_BAD = 10
PORTION = 50


def measure(release: Release, windows: int, processes: ProcessPoolExecutor) -> dict[str, Any]:
	portions = [
		processes.submit(simulate, release, Limits(), min(PORTION, windows - done), done + 1)
		for done in range(0, windows, PORTION)
	]
	return summarise([outcome for portion in portions for outcome in portion.result()])


def main() -> None:
	windows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
	table = Table("release", "windows", "rolled back", "half within", "in 10 min", "literally", "half within")
	with ProcessPoolExecutor(os.cpu_count()) as processes:
		for release in (*HEALTHY, *BAD):
			count = windows if release in HEALTHY else max(1, windows // PART_OF_BAD)
			found = measure(release, count, processes)
			name = f"{release.rate:g}/s, {100 * release.error_rate:g} % errors, × {release.slowdown:g}"
			literally = found["literally"]
			table.add_row(
				name,
				f"{count:,}",
				f"{100 * found['share_rolled_back']:.2f} %",
				_seconds(found["median_seconds"]),
				f"{100 * found['share_within_600_seconds']:.1f} %",
				f"{100 * literally['share_rolled_back']:.1f} %",
				_seconds(literally["median_seconds"]),
			)
	Console(width=120).print(table)


def _seconds(seconds: float | None) -> str:
	return "" if seconds is None else f"{seconds:g} s"


if __name__ == "__main__":
	main()
