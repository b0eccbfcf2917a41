"""What people answer a run on the command line: roll back, decide, approve, abort."""

import json
import os
import pwd
from contextlib import nullcontext

import pytest

from press_deploy.engine.journal.requests import read_requests

from .support import ASKS, CREATED, LIST, OTHER_LIST, WAITS, done, ended, owning


@pytest.mark.parametrize("state", ["Refused", "Aborted", "Rolled Back", "Checked"])
def test_there_is_nothing_to_roll_back(call, make_run, state):
	result = call("rollback", make_run(CREATED, ended(state)).name)
	assert result.exit_code == 2 and "nothing to undo" in result.output


def test_a_runner_at_work_is_asked(call, owned):
	assert call("rollback", owned.name, "--by", "ada", "--reason", "slow").exit_code == 0
	assert call("decide", owned.name, "no-go").exit_code == 0
	assert [request.action for request in read_requests(owned, set())] == ["rollback", "no-go"]


@pytest.mark.parametrize(
	("events", "decision", "said"),
	[
		([CREATED], ["approve", "--list", LIST], "waits for nobody's decision, it is Running"),
		([CREATED], ["go"], "waits for nobody's decision, it is Running"),
		([CREATED], ["no-go"], "decide {run} abort"),
		([], ["go"], "it is Pending"),
		([CREATED, WAITS], ["approve", "--list", LIST], "waits for go or no-go, not for approve"),
		([CREATED, ASKS], ["approve", "--list", OTHER_LIST], "another list"),
		([CREATED, ASKS], ["no-go"], "waits for approve or go, not for no-go"),
	],
)
@pytest.mark.parametrize("at_work", [True, False])
def test_a_decision_that_nobody_waits_for_is_left_for_nobody(
	call, make_run, bench, events, decision, said, at_work
):
	run = make_run(*events)
	with owning(bench, run) if at_work else nullcontext():
		result = call("decide", run.name, *decision)
	assert result.exit_code == 2 and said.format(run=run.name) in result.output and "→" in result.output
	assert read_requests(run, set()) == []


def test_the_list_that_is_asked_about_is_approved(call, make_run, bench):
	run = make_run(CREATED, ASKS)
	with owning(bench, run):
		assert call("decide", run.name, "approve", "--list", LIST).exit_code == 0
	(request,) = read_requests(run, set())
	assert (request.action, request.approves) == ("approve", LIST)


def test_a_run_at_work_is_aborted(call, make_run, bench):
	run = make_run(CREATED)
	with owning(bench, run):
		assert call("decide", run.name, "abort").exit_code == 0
	assert [request.action for request in read_requests(run, set())] == ["abort"]


def test_who_asks_is_the_user_of_the_process_whoever_else_is_named(call, owned, monkeypatch):
	for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
		monkeypatch.setenv(variable, "somebody-else")
	user = pwd.getpwuid(os.getuid()).pw_name
	for named in ([], ["--by", user], ["--by", "Ada Lovelace"]):
		assert call("decide", owned.name, "go", *named).exit_code == 0
		assert call("rollback", owned.name, *named).exit_code == 0
	asked = [request.by for request in read_requests(owned, set())]
	assert asked == [user] * 4 + [f"{user} (for Ada Lovelace)"] * 2


def test_going_back_is_refused_where_nobody_can_list_the_losses(call, make_run, bench):
	config = {"db_name": "x", "db_type": "postgres"}
	(bench / "sites/shop.example/site_config.json").write_text(json.dumps(config))
	run = make_run(
		CREATED, *(event for step in ("maintenance", "migrate", "open") for event in done(step)), WAITS
	)
	with owning(bench, run):
		for command in (["decide", run.name, "no-go"], ["decide", run.name, "abort"], ["rollback", run.name]):
			result = call(*command)
			assert result.exit_code == 2 and "nothing was changed" in result.output
	assert read_requests(run, set()) == []


@pytest.mark.parametrize("option", ["--by", "--reason"])
@pytest.mark.parametrize("value", ["a\nb", "a\x1b[2J", "\udcff", "x" * 501], ids=repr)
def test_words_that_are_no_line_are_refused(call, owned, option, value):
	result = call("rollback", owned.name, option, value)
	assert result.exit_code == 2 and option[2:] in result.output and read_requests(owned, set()) == []


@pytest.mark.parametrize("decision", ["", "GO", "rollback", "; rm"])
def test_an_unknown_decision_is_bad_usage(call, owned, decision):
	assert call("decide", owned.name, decision).exit_code == 2
