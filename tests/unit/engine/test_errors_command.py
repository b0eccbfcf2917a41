"""`press-deploy errors` over files of every kind."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from press_deploy.cli import main
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.plan.spec import read_plan
from press_deploy.engine.watching.logs import mark
from tests.unit.engine.support import MINIMAL

FRAPPE = "2026-01-31 22:00:00,123 ERROR frappe order {} is stuck"
TRACEBACK = """[2026-01-31 23:00:00 +0100] [7] [ERROR] Error handling request /api/method/book
Traceback (most recent call last):
  File "/home/frappe/frappe-bench/apps/shop/shop/orders.py", line 3, in book
    stock[item]
KeyError: 'desk'
"""


def run(*typed: object) -> Result:
	return CliRunner().invoke(main, ["errors", *map(str, typed)])


def find(*typed: object) -> list[dict[str, Any]]:
	shown = run(*typed, "--json")
	assert shown.exit_code == 0, shown.output
	return [each for each in json.loads(shown.output)["findings"] if each["weight"] != "nothing"]


@pytest.fixture
def log(tmp_path: Path) -> Path:
	file = tmp_path / "web.error.log"
	file.write_text(f"{FRAPPE.format(1)}\nINFO fine\n{TRACEBACK}INFO fine\n{FRAPPE.format(2)}\n")
	return file


def test_the_same_thing_is_one_finding_with_its_times(log: Path) -> None:
	stuck, lost = find(log)
	assert (stuck["count"], stuck["class"], stuck["files"]) == (2, "release", ["web.error.log"])
	assert stuck["first"] == stuck["last"] == datetime(2026, 1, 31, 22).timestamp()
	assert (lost["count"], lost["example"]) == (1, "KeyError: 'desk'")
	assert lost["first"] == datetime.fromisoformat("2026-01-31T23:00:00+01:00").timestamp()


def test_people_read_it_too(log: Path) -> None:
	shown = run(log).output
	assert "KeyError: 'desk'" in shown and "2 ×" in shown and "2026-01-31 22:00:00" in shown
	log.write_text("INFO fine\n")
	assert run(log).output == "no error\n"


def test_what_came_before_is_left_out(log: Path) -> None:
	log.write_text(f"{FRAPPE.format(1)}\n{FRAPPE.format(2).replace('22:00', '22:30')}\nno time: ERROR\n")
	found = {each["example"][-8:]: each["count"] for each in find(log, "--since", "2026-01-31T22:15")}
	assert found == {"is stuck": 1, "e: ERROR": 1}


def test_compressed_and_hostile_files(tmp_path: Path) -> None:
	packed, broken = tmp_path / "old.log.1.gz", tmp_path / "torn.log.2.gz"
	packed.write_bytes(gzip.compress(FRAPPE.format(1).encode()))
	broken.write_bytes(gzip.compress(FRAPPE.format(1).encode())[:20])
	odd = tmp_path / "odd.log"
	odd.write_bytes(
		b"\xff\xfe\0\x1b[31mERROR\x1b[0m odd\n"
		+ b"x" * 10_000_000
		+ b" ERROR at the end of a long line\r\n\n"
	)
	found = find(packed, broken, odd)
	assert sorted(each["weight"] for each in found) == ["against", "against", "against", "unknown"]
	assert all(len(each["example"]) <= 500 for each in found)


@pytest.mark.parametrize("since", ["yesterday", "no-such-run", "../x"])
def test_what_is_neither_a_time_nor_a_run_is_refused(since: str, log: Path) -> None:
	shown = run(log, "--since", since)
	assert shown.exit_code == 2 and "Traceback" not in shown.output


def test_without_files_it_takes_a_bench(tmp_path: Path) -> None:
	shown = run("--bench", tmp_path)
	assert shown.exit_code == 2 and str(tmp_path) in shown.output


@pytest.fixture
def bench(tmp_path: Path) -> Path:
	directory = tmp_path / "bench"
	for place in ("apps", "logs", "sites/shop.example/logs", "config"):
		(directory / place).mkdir(parents=True)
	(directory / "sites" / "common_site_config.json").write_text("{}")
	(directory / "sites" / "apps.txt").write_text("frappe\n")
	(directory / "sites" / "shop.example" / "site_config.json").write_text("{}")
	(directory / "logs" / "web.log").write_text(FRAPPE.format(1) + "\n")
	(directory / "sites" / "shop.example" / "logs" / "frappe.log").write_text(TRACEBACK)
	return directory


def test_a_bench_has_logs_of_its_own(bench: Path) -> None:
	assert len(find("--bench", bench)) == 2
	assert len(find("--bench", bench, bench / "logs" / "web.log")) == 1
	assert run("--bench", bench, "--since", "no-such-run").exit_code == 2


def test_what_came_since_the_switch_of_a_run(bench: Path) -> None:
	log, frappe_log = bench / "logs" / "web.log", bench / "sites" / "shop.example" / "logs" / "frappe.log"
	directory = RunDirectory.create(bench, read_plan(MINIMAL))
	journal = Journal(directory.journal)
	journal.append("run-created", {"plan_sha256": "0" * 64, "run": directory.name, "dry_run": False})
	assert run("--bench", bench, "--since", directory.name).exit_code == 2, "it marked no logs"
	step = {"step": "mark-logs", "phase": "deploy", "title": "Mark the logs"}
	journal.append("step-announced", {**step, "before": {}})
	journal.append("step-observed", {**step, "result": {"marks": mark([log, frappe_log])}, "found": ""})
	journal.close()
	for file in (log, frappe_log):
		with file.open("a") as output:
			output.write(f"2026-02-01 00:00:00,000 ERROR frappe {file.name} is odd\n")
	assert len(find("--bench", bench, "--since", directory.name)) == 2
	(only,) = find("--bench", bench, "--since", directory.name, log)
	assert only["example"].endswith("web.log is odd")
