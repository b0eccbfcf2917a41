"""`press-deploy`: exit codes and messages, and never a traceback."""

import json
import os
import subprocess

import pytest

from press_deploy import __version__
from press_deploy.engine.journal.lock import keep_idle
from press_deploy.engine.journal.run_directory import RunDirectory, list_runs
from press_deploy.engine.journal.state import load_state
from press_deploy.engine.plan.spec import read_plan

from .support import CREATED, PLAN, ended, owning

CONSOLE_PLAN = {**PLAN, "smoke_tests": [{"kind": "console", "name": "Count", "code": "1"}]}
NAMES = ["../../x", "--x", "; rm", "A", "a\nb", "none", "x" * 10_000]


def test_it_says_its_version_and_its_commands(call):
	assert call("--version", path=None).output.strip().endswith(__version__)
	said = call("--help", path=None).output
	assert all(name in said for name in ("run", "resume", "rollback", "status", "report", "demo", "helper"))


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


def test_a_second_run_is_refused_by_name_of_the_first(call, owned, tmp_path):
	(tmp_path / "plan.json").write_text(json.dumps(PLAN))
	for result in (call("run", tmp_path / "plan.json"), call("resume", owned.name)):
		assert result.exit_code == 2 and owned.name in result.output and "at work" in result.output


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
