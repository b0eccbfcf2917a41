"""On the command line: sites at work stay open until somebody has read what a rollback would lose."""

from __future__ import annotations

from click.testing import CliRunner, Result

from press_deploy.cli import main
from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.losses.of_run import list_losses
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import State, load_state
from tests.faults.bench_state import assert_in_order, create_run, names, quick_plan, resume, write

REFUSED, ROLLED_BACK, WAITING = 2, 3, 4


def call(bench: PracticeBench, run: RunDirectory, command: str, *options: str) -> Result:
	"""The command in this process, which no home is executed in."""
	return CliRunner().invoke(main, [command, run.name, *options, "--here", "--bench", str(bench.path)])


def assert_refused(bench: PracticeBench, run: RunDirectory, why: str, *options: str) -> None:
	before = run.journal.read_bytes()
	result = call(bench, run, "rollback", *options)
	assert result.exit_code == REFUSED and why in result.output, result.output
	for command in (f"losses {run.name}", f"{run.name} --database --approve SHA256", "--approve later"):
		assert command in result.output
	assert run.journal.read_bytes() == before and bench.ask().status == 200, "the site was closed"


def test_a_list_that_nobody_has_read_closes_no_site(bench: PracticeBench, live: RunDirectory) -> None:
	assert_refused(bench, live, "1 documents, settings or rows would be lost", "--database")
	assert_refused(bench, live, "nobody has read which")
	read = list_losses(Bench.open(bench.path), live)
	write(bench, "written after the list was read")
	assert_refused(bench, live, "another list now", "--database", "--approve", read["sha256"])

	read = list_losses(Bench.open(bench.path), live)
	assert call(bench, live, "rollback", "--approve", read["sha256"]).exit_code == ROLLED_BACK
	assert assert_in_order(bench, live).state is State.ROLLED_BACK and "of a user" not in names(bench)


def test_who_reads_later_finds_the_site_closed(bench: PracticeBench, live: RunDirectory) -> None:
	result = call(bench, live, "rollback", "--database", "--approve", "later")
	assert result.exit_code == WAITING, result.output
	listed = load_state(live).waiting["approve"]
	assert "The sites are closed meanwhile." in result.output and f"losses {live.name}" in result.output
	assert f"decide {live.name} approve --list {listed}" in result.output
	assert bench.ask().status != 200
	assert call(bench, live, "decide", "approve", "--list", listed).exit_code == ROLLED_BACK
	assert_in_order(bench, live)


def test_where_nothing_would_be_lost_there_is_nothing_to_read(bench: PracticeBench) -> None:
	run = create_run(bench, quick_plan(bench, "migrating", migrate="always"))
	assert resume(bench, run) is State.SUCCEEDED
	assert call(bench, run, "rollback", "--database").exit_code == ROLLED_BACK
	assert_in_order(bench, run)
