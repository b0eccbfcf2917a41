"""`press-deploy status`, and what the terminal says of a run that waits: in words that a person can act on."""

import io
import json
from types import SimpleNamespace

import pytest
from rich.console import Console

from press_deploy.cli.terminal import TerminalListener, open_console, show_summary
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.journal.state import load_state
from press_deploy.engine.report.summary import summarise

from .support import ASKS, CREATED, LIST, close_site, done, ended

LONG_PATH = "/srv/bench/deployments/" + "a-long-name-" * 12 + "end"


def test_status_is_shown_in_words_and_as_json(call, make_run):
	run = make_run(CREATED, ended("Rolled Back"))
	words, data = call("status", run.name), json.loads(call("status", run.name, "--json").output)
	assert words.exit_code == 0 and "Rolled Back" in words.output and "[so] it is" in words.output
	wanted = {"run", "state", "verdict", "phase", "steps", "downtime_seconds", "apps", "error"}
	assert wanted <= set(data) and (data["run"], data["state"]) == (run.name, "Rolled Back")
	assert {"name", "before", "wanted", "now"} == set(data["apps"][0])


def test_status_of_a_refused_run_names_every_failed_check_and_its_remedy(call, make_run):
	checks = [
		("check", {"name": f"Check {number}", "outcome": outcome, "found": "bad", "remedy": f"do {number}"})
		for number, outcome in enumerate(["failed", "warning", "failed"])
	]
	said = call("status", make_run(CREATED, *checks, ended("Refused")).name).output
	assert all(text in said for text in ("Check 0: bad", "→ do 0", "Check 2: bad", "→ do 2"))
	assert "Check 1" not in said


def test_status_says_what_to_do_about_the_reason(call, make_run):
	error = {
		"kind": "StepFailed",
		"doing": "Doing",
		"what": "web",
		"why": "it died",
		"remedy": "tail /srv/[web].log",
	}
	cause = ("rollback-started", {"cause": "Stabilise: web: it died", "by": None, "error": error})
	run = make_run(CREATED, cause, ended("Rolled Back"))
	assert "reason: [so] it is\n  → tail /srv/[web].log\n" in call("status", run.name).output


@pytest.mark.parametrize("columns", [None, 60], ids=["pipe", "terminal"])
def test_status_cuts_nothing_off_and_names_the_report(bench, make_run, columns):
	found = ("step-observed", {"step": "backup", "phase": "prepare", "title": "Backup", "result": {}})
	announced = ("step-announced", {**found[1], "before": {}})
	run = make_run(CREATED, announced, (found[0], {**found[1], "found": LONG_PATH}), ended("Aborted"))
	run.report_html.write_text("")
	output = io.StringIO()
	console = open_console()
	assert not console.is_terminal and console.width > 10 * len(LONG_PATH)
	if columns:
		console = Console(file=output, force_terminal=True, width=columns, color_system=None, soft_wrap=True)
	console.file = output
	show_summary(console, summarise(Bench.open(bench), run))
	words = output.getvalue()
	if columns:
		assert "…" not in words
		words = "".join(line.strip() for line in words.splitlines())
	assert LONG_PATH in words and f"report: {run.report_html}" in words


@pytest.mark.parametrize(("steps", "said"), [([], "within five minutes"), (done("maintenance"), "30 s")])
def test_who_resumes_a_run_depends_on_whether_the_sites_are_closed(bench, call, make_run, steps, said):
	if steps:
		close_site(bench)
	output = call("status", make_run(CREATED, *steps).name).output
	assert said in output and ("its lease" in output) == bool(steps)


def test_status_fills_no_line_up_where_there_is_no_terminal(call, make_run):
	failed = [
		("step-announced", {"step": "migrate", "phase": "deploy", "title": "Migrate", "before": {}}),
		(
			"step-failed",
			{"step": "migrate", "phase": "deploy", "title": "Migrate", "error": {"why": "x" * 300}},
		),
	]
	lines = call("status", make_run(CREATED, *done("maintenance"), *failed).name).output.splitlines()
	assert any("x" * 300 in line for line in lines) and lines == [line.rstrip() for line in lines]
	header = next(line for line in lines if line.startswith("phase"))
	row = next(line for line in lines if line.endswith("there"))
	assert header.index("found") == row.index("there") and len(header) < 80


@pytest.mark.parametrize("state", ["Aborted", "Succeeded"])
def test_status_names_what_drops_the_databases_that_nobody_needs(call, make_run, state):
	run = make_run(CREATED, ended(state))
	assert "--drop" not in call("status", run.name).output
	(run.private / "standby" / "shop.example").mkdir(parents=True)
	said = call("status", run.name).output
	assert (f"press-deploy standby --drop {run.name}" in said) == (state == "Aborted")


def test_a_run_that_waits_says_so_without_stopping(make_run):
	said = io.StringIO()
	listener = TerminalListener(Console(file=said, width=200))
	listener.journal_appended(
		SimpleNamespace(event=ASKS[0], data=ASKS[1]), load_state(make_run(CREATED, ASKS))
	)
	assert "waiting for a person" in said.getvalue()


def test_who_is_asked_to_approve_is_told_that_the_sites_are_closed_and_how_the_list_is_read(
	bench, call, make_run
):
	close_site(bench)
	asks = (ASKS[0], {**ASKS[1], "when_nobody_decides": "keep"})
	run = make_run(CREATED, *done("maintenance"), asks)
	said = call("status", run.name).output
	assert "The sites are closed meanwhile." in said
	for command in (
		f"losses {run.name}",
		f"decide {run.name} approve --list {LIST}",
		f"decide {run.name} go",
	):
		assert f"press-deploy {command}" in said
	assert "closed meanwhile" not in call("status", make_run(CREATED, asks).name).output
