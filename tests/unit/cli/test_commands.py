"""`press-deploy`: exit codes and messages, and never a traceback."""

import fcntl
import io
import json
import os
import pwd
import subprocess
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from rich.console import Console

from press_deploy import __version__
from press_deploy.cli import main
from press_deploy.cli.terminal import TerminalListener, open_console, show_summary
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.lock import keep_idle
from press_deploy.engine.journal.requests import read_requests
from press_deploy.engine.journal.run_directory import RunDirectory, list_runs
from press_deploy.engine.journal.state import load_state
from press_deploy.engine.plan.spec import read_plan
from press_deploy.engine.report.summary import summarise

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


def close_site(bench):
	"""As a run leaves it: what the journal says is looked at, not believed."""
	config = bench / "sites/shop.example/site_config.json"
	config.write_text(json.dumps({**json.loads(config.read_text()), "maintenance_mode": 1}))


def ended(state):
	return ("run-ended", {"state": state, "reason": "[so] it is"})


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
	result = call("resume", run.name)
	assert result.exit_code == code
	if state != "Checked":
		assert f"this run is over ({state})" in result.output
	again = f"press-deploy run {run.plan}"
	assert (again in result.output) == (state not in ("Succeeded", "Fatal")), result.output
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


@pytest.mark.parametrize("state", ["Refused", "Checked"])
def test_a_dry_run_that_is_over_is_followed_by_another_dry_run(call, make_run, state):
	run = make_run((CREATED[0], {**CREATED[1], "dry_run": True}), ended(state))
	result = call("resume", "--dry-run", run.name)
	assert f"over ({state})" in result.output and f"press-deploy run {run.plan} --dry-run" in result.output


def test_no_run_is_made_while_another_is_at_work(call, bench, owned, tmp_path):
	(tmp_path / "plan.json").write_text(json.dumps(PLAN))
	result = call("run", tmp_path / "plan.json")
	assert result.exit_code == 2 and f"{owned.name} (process {os.getpid()}" in result.output
	assert "is at work" in result.output and [run.name for run in list_runs(bench)] == [owned.name]


def test_no_run_is_made_while_another_waits_for_its_runner(call, bench, make_run, tmp_path):
	dead = make_run(CREATED)
	with owning(bench, dead):
		pass
	(tmp_path / "plan.json").write_text(json.dumps(PLAN))
	result = call("run", tmp_path / "plan.json")
	assert result.exit_code == 2 and "nobody is at work on it" in result.output
	assert [run.name for run in list_runs(bench)] == [dead.name]


def test_no_run_is_made_while_backups_are_worked_on(call, bench, tmp_path):
	(tmp_path / "plan.json").write_text(json.dumps(PLAN))
	with keep_idle(bench / "deployments") as is_idle:
		assert is_idle
		result = call("run", tmp_path / "plan.json")
	assert result.exit_code == 2 and "are being worked on" in result.output
	assert list_runs(bench) == []
	assert "Refused" in call("run", tmp_path / "plan.json").output and len(list_runs(bench)) == 1


def test_a_dry_run_of_a_plan_that_nobody_approved_finds_what_else_is_wrong(call, bench, tmp_path):
	(tmp_path / "plan.json").write_text(json.dumps({**PLAN, "approved_by": None}))
	result = call("run", "--dry-run", tmp_path / "plan.json")
	assert "! Plan approved: nobody has approved" in result.output
	assert "Refused: " in result.output and "Refused: Plan approved" not in result.output
	assert "Refused: Plan approved" in call("run", tmp_path / "plan.json").output


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


LONG_PATH = "/srv/bench/deployments/" + "a-long-name-" * 12 + "end"


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


CONSOLE_PLAN = {**PLAN, "smoke_tests": [{"kind": "console", "name": "Count", "code": "1"}]}


def checks_of_allowances(run):
	"""What a run's preflight says of what the shell user would have to allow."""
	return [check for check in load_state(run).checks if check["name"].startswith("Allowed on this bench")]


def test_a_plan_in_a_file_of_the_shell_user_needs_no_allowance(call, bench, tmp_path):
	own = tmp_path / "plan.json"
	own.write_text(json.dumps(CONSOLE_PLAN))
	call("run", own, "--dry-run")
	run = list_runs(bench)[-1]
	assert load_state(run).by_shell
	assert [check["outcome"] for check in checks_of_allowances(run)] == ["ok"]


@pytest.mark.parametrize("way", ["made in Desk", "frozen plan", "upload"])
def test_a_plan_that_came_from_desk_needs_one_whoever_starts_it(call, bench, way):
	made = RunDirectory.create(bench, read_plan(CONSOLE_PLAN))
	if way == "made in Desk":
		call("resume", made.name, "--dry-run")
	elif way == "frozen plan":
		call("run", made.plan, "--dry-run")
	else:
		upload = bench / "sites/shop.example/private/files/plan.json"
		upload.parent.mkdir(parents=True)
		upload.write_text(json.dumps(CONSOLE_PLAN))
		call("run", upload, "--dry-run")
	begun = [run for run in list_runs(bench) if run.journal.exists()][-1]
	assert not load_state(begun).by_shell
	checks = checks_of_allowances(begun)
	assert [check["outcome"] for check in checks] == ["failed"]
	assert "`bench set-config -g press_deploy_allow_console_tests 1`" in checks[0]["remedy"]


def test_a_dry_run_shows_the_commit_that_it_resolved(call, bench, tmp_path):
	origin, app = tmp_path / "origin", bench / "apps" / "shop"
	commit = ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "--allow-empty"]
	for command in (
		["init", "--quiet", "--initial-branch=main", origin],
		["-C", origin, *commit, "-m", "one"],
		["clone", "--quiet", "--origin", "upstream", origin, app],
		["-C", origin, *commit, "-m", "two"],
	):
		subprocess.run(["git", *command], check=True)
	wanted = subprocess.check_output(["git", "-C", origin, "rev-parse", "main"], text=True).strip()
	(bench / "sites/apps.txt").write_text("shop\n")
	(tmp_path / "plan.json").write_text(json.dumps(PLAN))
	call("run", tmp_path / "plan.json", "--dry-run")
	(shown,) = json.loads(call("status", list_runs(bench)[-1].name, "--json").output)["apps"]
	assert shown["wanted"] == wanted and shown["now"] != wanted
