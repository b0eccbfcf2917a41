"""`python -m tests.benchmarks.databases`: backup, load and rollback on real MariaDB, against Frappe's own way.

Frappe's way is what `bench backup` and `bench restore` do with the database (frappe/utils/backups.py,
frappe/database/db_manager.py): `mariadb-dump | gzip`; drop, create and `gzip -cd | sed | sed | mariadb`. Both
ways work on the same data in the same run. Figures of backups are medians; the file is on the disk at the end.

**Invariant:** no figure is printed unless the checksums of all tables were right.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from press_deploy.engine.databases.mariadb import physical
from press_deploy.engine.databases.mariadb.comparison import TableState, are_equal, read_tables
from press_deploy.engine.databases.mariadb.scratch_server import run_scratch_server
from press_deploy.engine.databases.mariadb.server import Server
from press_deploy.engine.databases.mariadb.sql_dump import dump_database
from press_deploy.engine.databases.mariadb.sql_load import load_dump
from tests.benchmarks.frappe_like_data import build_database, size_of_directory
from tests.benchmarks.visitors import DEFINITION, TABLE, Visitors
from tests.support.databases import execute, make_standby

LIVE, LOADED = "_bench", "_loaded"
GIGABYTE = 10**9
# As on a server for production of this size: durable, with a buffer smaller than the larger database.
SETTINGS = (
	"--innodb-buffer-pool-size=1G",
	"--innodb-log-file-size=512M",
	"--innodb-flush-log-at-trx-commit=1",
)
ROUNDS = 3
UNICODE = "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
_DUMP = 'set -o pipefail; mariadb-dump --socket="$1" --single-transaction --quick --lock-tables=false "$2" | gzip > "$3"'
_RESTORE = (
	'set -o pipefail; gzip -cd "$3" '
	r"| sed '/\/\*M\{0,1\}!999999\\- enable the sandbox mode \*\//d' "
	r"| sed '/\/\*![0-9]* DEFINER=[^ ]* SQL SECURITY DEFINER \*\//d' "
	'| mariadb --socket="$1" "$2"'
)


@dataclass
class Figures:
	"""What was measured on one size; seconds and bytes by way: frappe, stream, physical."""

	size: int
	tables: int
	backup: dict[str, float] = field(default_factory=dict)
	files: dict[str, int] = field(default_factory=dict)
	load: dict[str, float] = field(default_factory=dict)
	downtime: dict[str, float] = field(default_factory=dict)
	final_backup: float = 0
	rows_kept: int = 0


def measure_size(directory: Path, size: int) -> Figures:
	"""Everything on a new database of about `size` bytes, in `directory`, which is empty."""
	with run_scratch_server(directory, *SETTINGS) as server:
		tables = build_database(server, LIVE, size, directory / "data" / LIVE)
		execute(server, LIVE, DEFINITION)
	# Started anew: what was just written is not still being written while we measure.
	with run_scratch_server(directory, *SETTINGS) as server:
		figures = Figures(size_of_directory(directory / "data" / LIVE), tables + 1)
		files = measure_backups(figures, server, directory)
		measure_loads(figures, server, directory, files)
		measure_rollbacks(figures, server, directory, files)
	return figures


def measure_backups(figures: Figures, server: Server, directory: Path) -> dict[str, Path]:
	files = {
		"frappe": directory / "frappe.sql.gz",
		"stream": directory / "stream.sql.zst",
		"physical": directory / f"physical{physical.SUFFIX}",
	}
	ways: dict[str, Callable[[], object]] = {
		"frappe": lambda: execute_pipe(_DUMP, server, LIVE, files["frappe"]),
		"stream": lambda: dump_database(server, LIVE, files["stream"]),
		"physical": lambda: physical.back_up(server, LIVE, files["physical"]),
	}
	reason = physical.why_not(server, LIVE)
	assert reason is None, reason
	rounds = ROUNDS if figures.size < 2 * GIGABYTE else 1
	seconds: dict[str, list[float]] = {way: [] for way in ways}
	for _ in range(rounds):
		for way, back_up in ways.items():
			files[way].unlink(missing_ok=True)
			seconds[way].append(time_of(back_up))
	figures.backup = {way: median(values) for way, values in seconds.items()}
	figures.files = {way: file.stat().st_size for way, file in files.items()}
	return files


def measure_loads(figures: Figures, server: Server, directory: Path, files: dict[str, Path]) -> None:
	"""Each into a new database, which must then equal the live one."""
	live = read_tables(server, LIVE)
	ways: dict[str, Callable[[], object]] = {
		"frappe": lambda: execute_pipe(_RESTORE, server, LOADED, files["frappe"]),
		"stream": lambda: load_dump(files["stream"], server, LOADED),
		"physical": lambda: load_physical(server, LOADED, directory, files),
	}
	for way, load in ways.items():
		execute(server, None, f"CREATE DATABASE {LOADED} {UNICODE}")
		figures.load[way] = time_of(load)
		require_equal(f"loaded by {way}", read_tables(server, LOADED), live)
		execute(server, None, f"DROP DATABASE {LOADED}")


def load_physical(server: Server, database: str, directory: Path, files: dict[str, Path]) -> dict[str, Any]:
	return physical.load(files["physical"], server, LIVE, database, directory / "work")


def measure_rollbacks(figures: Figures, server: Server, directory: Path, files: dict[str, Path]) -> None:
	standby = make_standby(directory, server, LIVE)
	standby.load_by(lambda server, database: load_physical(server, database, directory, files))
	with Visitors(server, LIVE) as visitors:
		# Behind closed doors, before the release: what was written since the backup gets into the standby.
		visitors.close_site()
		figures.final_backup = time_of(lambda: standby.refresh(directory / "final"))
		backup = read_tables(server, LIVE)
		break_data(server)
		broken = read_tables(server, LIVE)
		before_release = set(visitors.written)
		visitors.open_site()
		visitors.wait_for_visits(40)
		figures.downtime["press_deploy"] = visitors.measure_downtime(standby.swap)
		check_rollback(figures, server, standby.quarantine, backup, broken)
		written = visitors.written
	check_visits(figures, server, standby.quarantine, written, before_release)
	standby.drop_quarantine()
	figures.downtime["frappe"] = measure_restore(server, files["frappe"], written.stop)


def measure_restore(server: Server, file: Path, first: int) -> float:
	def restore() -> None:
		execute(server, None, f"DROP DATABASE {LIVE}", f"CREATE DATABASE {LIVE} {UNICODE}")
		execute_pipe(_RESTORE, server, LIVE, file)

	with Visitors(server, LIVE, first) as visitors:
		return visitors.measure_downtime(restore)


def break_data(server: Server) -> None:
	"""What a release with a faulty migration may do."""
	execute(
		server, LIVE, "UPDATE `tabGL Entry` SET debit = 0 LIMIT 20000", "DELETE FROM tabSingles",
		"DROP TABLE `tabSmall DocType 7`", "ALTER TABLE tabComment ADD COLUMN broken int",
	)  # fmt: skip


def check_rollback(
	figures: Figures,
	server: Server,
	quarantine: str,
	backup: dict[str, TableState],
	broken: dict[str, TableState],
) -> None:
	"""The visitors write to one table all the time; its rows are looked for one by one."""
	require_equal("live after the swap", without_visits(read_tables(server, LIVE)), without_visits(backup))
	require_equal("quarantine", without_visits(read_tables(server, quarantine)), without_visits(broken))


def check_visits(
	figures: Figures, server: Server, quarantine: str, written: range, before_release: set[int]
) -> None:
	live, replaced = (
		{row[0] for row in execute(server, database, f"SELECT name FROM `{TABLE}`")}
		for database in (LIVE, quarantine)
	)
	assert before_release <= live, "a row of the backup is not in the database"
	lost = set(written) - live - replaced
	assert not lost, f"{len(lost)} rows are neither in the database nor in the quarantine"
	assert replaced - live, "nobody wrote between the release and the rollback"
	figures.rows_kept = len(written)


def without_visits(tables: dict[str, TableState]) -> dict[str, TableState]:
	return {name: state for name, state in tables.items() if name != TABLE}


def require_equal(what: str, one: dict[str, TableState], other: dict[str, TableState]) -> None:
	names = one.keys() | other.keys()
	different = sorted(name for name in names if not are_equal(one.get(name), other.get(name)))
	assert not different, f"{what}: {len(different)} tables differ, such as {different[:3]}"


def execute_pipe(script: str, server: Server, database: str, file: Path) -> None:
	subprocess.run(["bash", "-c", script, "bash", server.socket or "", database, str(file)], check=True)


def time_of(act: Callable[[], object]) -> float:
	begun = time.perf_counter()
	act()
	return time.perf_counter() - begun


def make_table(figures: Figures) -> Table:
	table = Table(
		"figure", "Frappe's way", "stream", "times faster", "physical", "times faster",
		title=f"{figures.size / GIGABYTE:.1f} GB in {figures.tables} tables",
	)  # fmt: skip
	table.add_row("Backup, s", *compare(figures.backup))
	table.add_row("Size of the backup, MB", *(f"{figures.files[way] / 1e6:.0f}" for way in ("frappe", "stream")), "",
		f"{figures.files['physical'] / 1e6:.0f}", "")  # fmt: skip
	table.add_row("Load beside the live database, s", *compare(figures.load))
	ours, theirs = figures.downtime["press_deploy"], figures.downtime["frappe"]
	table.add_row(
		"Rollback: downtime, s", f"{theirs:.2f}", f"{ours:.2f}", f"{theirs / ours:.0f}", "(the same)", ""
	)
	table.add_row("Final backup by refresh, s", "", f"{figures.final_backup:.1f}", "", "", "")
	return table


def compare(values: dict[str, float]) -> Iterator[str]:
	yield f"{values['frappe']:.1f}"
	for way in ("stream", "physical"):
		yield f"{values[way]:.1f}"
		yield f"{values['frappe'] / values[way]:.1f}"


@contextmanager
def make_place(keep: Path | None) -> Iterator[Path]:
	"""A new directory with a short path, for a server's socket; it is gone afterwards unless it is kept."""
	if keep:
		keep.mkdir(parents=True)
		yield keep
		return
	directory = Path(tempfile.mkdtemp(prefix="bench-", dir="/tmp"))
	try:
		yield directory
	finally:
		shutil.rmtree(directory)


def measure_databases(sizes: list[float], console: Console, keep: Path | None = None) -> list[Figures]:
	"""Measure each size (in GB) and print its table. Needs free disk of six times the largest size."""
	measured = []
	for size in sizes:
		with make_place(keep / f"{size:g}" if keep else None) as directory:
			measured.append(measure_size(directory, int(size * GIGABYTE)))
		console.print(make_table(measured[-1]))
		console.print(
			f"Checksums: live equals the backup, the quarantine equals live of before; "
			f"all {measured[-1].rows_kept} rows that visitors wrote are there.\n"
		)
	return measured


def main() -> None:
	parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
	parser.add_argument("--sizes", default="1,4", help="GB of InnoDB files, such as 1,4")
	parser.add_argument("--keep", type=Path, help="a directory to work in, which is kept")
	arguments = parser.parse_args()
	measure_databases(
		[float(size) for size in arguments.sizes.split(",")], Console(width=110), arguments.keep
	)


if __name__ == "__main__":
	main()
