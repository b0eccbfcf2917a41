"""`press-deploy`: exit codes and messages, and never a traceback."""

import fcntl
import json
import os
import pwd
from contextlib import contextmanager, nullcontext

import pytest
from click.testing import CliRunner

from press_deploy import __version__
from press_deploy.cli import main
from press_deploy.engine.journal import Journal
from press_deploy.engine.plan import read_plan
from press_deploy.engine.requests import read_requests
from press_deploy.engine.run_directory import RunDirectory, list_runs

PLAN = {
	"title": "Release",
	"approved_by": "ada",
	"sites": [{"name": "shop.example"}],
	"apps": [{"name": "shop", "ref": "main"}],
}
CREATED = ("run-created", {"plan_sha256": read_plan(PLAN).sha256, "dry_run": False, "run": "r"})
WAITS = ("waiting", {"step": "verdict", "reason": "?", "deadline": 4e9, "accepts_go": True})


def done(step):
	about = {"step": step, "phase": "deploy", "title": step}
	return [
		("step-announced", {**about, "before": {}}),
		("step-observed", {**about, "result": {}, "found": "there"}),
	]


def ended(state):
	return ("run-ended", {"state": state, "reason": "[so] it is"})


@pytest.fixture
def bench(tmp_path):
	for name in ("apps", "config", "logs", "sites/shop.example"):
		(tmp_path / "bench" / name).mkdir(parents=True)
	(tmp_path / "bench/sites/common_site_config.json").write_text('{"webserver_port": 1}')
	(tmp_path / "bench/sites/shop.example/site_config.json").write_text(
		'{"db_name": "x", "db_type": "sqlite"}'
	)
	return tmp_path / "bench"


@pytest.fixture
def make_run(bench):
	def make(*events) -> RunDirectory:
		run = RunDirectory.create(bench, read_plan(PLAN))
		journal = Journal(run.journal)
		for event, data in events:
			journal.append(event, data)
		journal.close()
		return run

	return make


@pytest.fixture
def call(bench):
	def call(*arguments, path=bench):
		result = CliRunner().invoke(main, [*map(str, arguments), *(["--bench", str(path)] if path else [])])
		assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
		assert "Traceback" not in result.output
		return result

	return call


def test_it_says_its_version_and_its_commands(call):
	assert call("--version", path=None).output.strip().endswith(__version__)
	said = call("--help", path=None).output
	assert all(name in said for name in ("run", "resume", "rollback", "status", "report", "demo", "helper"))


NAMES = ["../../x", "--x", "; rm", "A", "a\nb", "none", "x" * 10_000]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:8])
@pytest.mark.parametrize(
	"command", [["resume"], ["rollback"], ["status"], ["report"], ["decide"]], ids=lambda c: c[0]
)
def test_a_run_that_is_none_is_bad_usage(call, bench, command, name):
	result = call(*command, "--", name, *(["go"] if command == ["decide"] else []), path=None)
	assert result.exit_code == 2
	result = call(
		*command, "--bench", bench, "--", name, *(["go"] if command == ["decide"] else []), path=None
	)
	assert result.exit_code == 2 and "run" in result.output and len(result.output) < 1000
	assert not (bench / "deployments").exists()


@pytest.mark.parametrize("command", ["resume", "rollback", "status", "report"])
@pytest.mark.parametrize("path", ["/nonexistent", "/", "\udcff"], ids=["none", "no bench", "no text"])
def test_what_is_no_bench_is_bad_usage(call, command, path):
	result = call(command, "some-run", path=path)
	assert result.exit_code == 2 and "not a bench" in result.output


@pytest.mark.parametrize(
	"content,said",
	[
		(b"", "plan"),
		(b"rubbish", "plan"),
		(b"\xff\xfe\x00", "plan"),
		(b"[" * 50_000, "plan"),
		(b" " * 1_000_001, "larger than"),
		(json.dumps({**PLAN, "sites": [{"name": "../../x"}]}).encode(), "sites.0.name"),
		(json.dumps({**PLAN, "apps": [{"name": "shop", "ref": "--upload-pack=x"}]}).encode(), "apps.0.ref"),
	],
	ids=["empty", "rubbish", "no text", "a deep nest", "too large", "a hostile site", "a hostile ref"],
)
def test_a_bad_plan_is_refused_before_anything_is_made(call, bench, tmp_path, content, said):
	(tmp_path / "plan.json").write_bytes(content)
	result = call("run", tmp_path / "plan.json")
	assert result.exit_code == 2 and said in result.output and "→" in result.output
	assert not (bench / "deployments").exists()


@pytest.mark.parametrize("plan", ["none.json", "."])
def test_a_plan_that_is_no_file_is_bad_usage(call, tmp_path, plan):
	assert call("run", tmp_path / plan).exit_code == 2


@pytest.mark.parametrize("arguments", [[], ["--dry-run"]], ids=["run", "dry run"])
def test_a_bench_that_is_not_ready_refuses_the_plan_and_changes_nothing(call, bench, tmp_path, arguments):
	(tmp_path / "plan.json").write_text(json.dumps(PLAN))
	before = {path: path.read_bytes() for path in (bench / "sites").rglob("*") if path.is_file()}
	result = call("run", *arguments, tmp_path / "plan.json")
	assert result.exit_code == 2 and "Refused" in result.output and "Code of shop" in result.output
	assert {path: path.read_bytes() for path in (bench / "sites").rglob("*") if path.is_file()} == before
	(run,) = list_runs(bench)
	assert f"run: {run.name}" in result.output and str(run.report_html) in result.output


@pytest.mark.parametrize(
	"state,code",
	[("Succeeded", 0), ("Checked", 2), ("Refused", 2), ("Rolled Back", 3), ("Fatal", 5), ("Aborted", 1)],
)
def test_a_run_that_is_over_stays_so_and_exits_with_its_code(call, make_run, state, code):
	run = make_run(CREATED, ended(state))
	journal = run.journal.read_bytes()
	assert call("resume", run.name).exit_code == code
	assert run.journal.read_bytes() == journal
	assert call("decide", run.name, "go").exit_code == 2


@pytest.mark.parametrize("state", ["Refused", "Aborted", "Rolled Back", "Checked"])
def test_there_is_nothing_to_roll_back(call, make_run, state):
	result = call("rollback", make_run(CREATED, ended(state)).name)
	assert result.exit_code == 2 and "nothing to undo" in result.output


def test_status_is_shown_in_words_and_as_json(call, make_run):
	run = make_run(CREATED, ended("Rolled Back"))
	words, data = call("status", run.name), json.loads(call("status", run.name, "--json").output)
	assert words.exit_code == 0 and "Rolled Back" in words.output and "[so] it is" in words.output
	wanted = {"run", "state", "verdict", "phase", "steps", "downtime_seconds", "apps", "error"}
	assert wanted <= set(data) and (data["run"], data["state"]) == (run.name, "Rolled Back")
	assert {"name", "before", "wanted", "now"} == set(data["apps"][0])


def test_a_damaged_journal_is_refused_and_left_alone(call, make_run):
	run = make_run(CREATED, ended("Succeeded"))
	damaged = run.journal.read_bytes().replace(b"Succeeded", b"RolledBak")
	run.journal.write_bytes(damaged)
	for command in (["resume"], ["rollback"], ["status"]):
		result = call(*command, run.name)
		assert result.exit_code == 1 and "journal" in result.output and "→" in result.output
	assert run.journal.read_bytes() == damaged


def test_a_plan_changed_after_the_start_is_refused(call, make_run):
	run = make_run(CREATED)
	run.plan.write_text(json.dumps({**PLAN, "title": "Other"}))
	result = call("resume", run.name)
	assert result.exit_code == 1 and "not the plan" in result.output


@contextmanager
def owning(bench, run):
	"""A living process is at work on the run: this one."""
	file = bench / "deployments" / "lock.json"
	file.write_text(json.dumps({"run": run.name, "reason": "deployment", "pid": os.getpid(), "since": "now"}))
	with file.open("r+") as held:
		fcntl.flock(held, fcntl.LOCK_EX)
		yield


@pytest.fixture
def owned(bench, make_run):
	"""A waiting run that a living process owns."""
	run = make_run(CREATED, WAITS)
	with owning(bench, run):
		yield run


def test_a_runner_at_work_is_asked(call, owned):
	assert call("rollback", owned.name, "--by", "ada", "--reason", "slow").exit_code == 0
	assert call("decide", owned.name, "no-go").exit_code == 0
	assert [request.action for request in read_requests(owned, set())] == ["rollback", "no-go"]


LIST, OTHER_LIST = "a" * 64, "b" * 64
ASKS = (
	"waiting",
	{"step": "lost-documents", "reason": "?", "deadline": 4e9, "accepts_go": True, "approve": LIST},
)


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


def test_a_second_run_is_refused_by_name_of_the_first(call, owned, tmp_path):
	(tmp_path / "plan.json").write_text(json.dumps(PLAN))
	for result in (call("run", tmp_path / "plan.json"), call("resume", owned.name)):
		assert result.exit_code == 2 and owned.name in result.output and "at work" in result.output


@pytest.mark.parametrize("option", ["--by", "--reason"])
@pytest.mark.parametrize("value", ["a\nb", "a\x1b[2J", "\udcff", "x" * 501], ids=repr)
def test_words_that_are_no_line_are_refused(call, owned, option, value):
	result = call("rollback", owned.name, option, value)
	assert result.exit_code == 2 and option[2:] in result.output and read_requests(owned, set()) == []


@pytest.mark.parametrize("decision", ["", "GO", "rollback", "; rm"])
def test_an_unknown_decision_is_bad_usage(call, owned, decision):
	assert call("decide", owned.name, decision).exit_code == 2
