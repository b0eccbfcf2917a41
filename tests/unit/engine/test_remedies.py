"""Every error and every check says to whom it happened and what to do now: read from the source, call by call."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import press_deploy
from press_deploy.engine.ground import errors
from press_deploy.engine.ground.errors import CommandFailed, DeployError, StepFailed, Stopped

SOURCE = Path(press_deploy.__file__).parent
# `InputError` is (field, value, why, remedy), the others (doing, what, why, remedy); checks are (name, found, remedy).
ERRORS = {
	name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, DeployError)
}
CHECKS = {"fail", "warn", "hinder"}
# Nobody's name: which web server, of which bench; which sites.
NOBODY = {"the web server", "the sites", "the services", "them", "it", "the site", "the preview instance"}
# What only points somewhere has to say where: a command, a path, a setting, or what is to be typed.
POINTS = re.compile(r"(see|look|check|read|find)\b")
WHERE = re.compile(
	r"/|: |`|\b[A-Z_]{4,}\b|\{\}|press-deploy|bench --site|[a-z]+_[a-z]+|the provider|the plan"
)
VAGUE = re.compile(
	r"(see|look (at|into)) (it|them|its|the|their|that)( own)?( \w+'s)?( logs?| disk)?|"
	r"(try|start|ask|do it|mend it|mend that|clean it|drop them|check its name|report this|free space)( again| first)?"
)
# Why these may have no remedy of their own.
WITHOUT = {
	("engine/steps/run.py", "Stopped"): "somebody asked for it, and knows why",
	("site/process.py", "SiteProcessFailed"): "the process that started this one adds its log",
	(
		"site/schema.py",
		"StepFailed",
	): "only its message leaves the site process; the step Migrate adds the remedy",
	("demo/tasks.py", "StepFailed"): "the same, on the practice bench",
}


def calls() -> Iterator[tuple[str, ast.Call, str, list[ast.expr]]]:
	"""(file, call, name, its arguments in order) of each error and check that the app makes."""
	for path in sorted(SOURCE.rglob("*.py")):
		if path.name.startswith("test_"):
			continue
		for node in ast.walk(ast.parse(path.read_text())):
			if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
				continue
			if node.func.id in ERRORS | CHECKS and not any(each.arg is None for each in node.keywords):
				given = [*node.args, *(each.value for each in node.keywords if each.arg == "remedy")]
				yield str(path.relative_to(SOURCE)), node, node.func.id, given


def text_of(node: ast.expr) -> str | None:
	"""The text of a literal, `{}` for each value in it; None where only the run can tell."""
	if isinstance(node, ast.Constant):
		return str(node.value)
	if isinstance(node, ast.JoinedStr):
		return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
	return None


def complain(name: str, given: list[ast.expr]) -> str:
	"""What is wrong with one call; empty when nothing is."""
	wanted = 3 if name in CHECKS else 4
	if len(given) < wanted:
		return "no remedy"
	remedy = text_of(given[wanted - 1])
	if remedy is not None:
		if not remedy.strip():
			return "an empty remedy"
		if VAGUE.fullmatch(remedy) or (POINTS.match(remedy) and not WHERE.search(remedy)):
			return f"a remedy that names nothing to type or to open: {remedy!r}"
	if wanted == 4 and name != "InputError" and text_of(given[1]) in NOBODY:
		return f"nobody's name: {text_of(given[1])!r}"
	return ""


def test_each_says_to_whom_it_happened_and_what_to_do_now():
	found = list(calls())
	assert len(found) > 300, "the source was not read"
	wrong, used = [], set()
	for file, node, name, given in found:
		if problem := complain(name, given):
			if (file, name) in WITHOUT and problem == "no remedy":
				used.add((file, name))
			else:
				wrong.append(f"{file}:{node.lineno}: {name}: {problem}")
	assert not wrong, "\n".join(wrong)
	assert used == set(WITHOUT), "an exception that is none any more"


@pytest.mark.parametrize(
	("source", "problem"),
	[
		("StepFailed('Restarting', 'web', 'it died', 'see its log')", "names nothing"),
		(
			"StepFailed('Restarting', 'web', 'it died', \"see the program's log in the logs directory\")",
			"names nothing",
		),
		("StepFailed('Restarting', 'the web server', 'it died', f'see {log}')", "nobody"),
		("StepFailed('Restarting', 'web', 'it died')", "no remedy"),
		("StepFailed('Restarting', 'web', 'it died', '')", "empty"),
		("StepFailed('Cleaning', app, 'it changed', 'clean it')", "names nothing"),
		("fail('Services', 'down', 'look at them first')", "names nothing"),
		("fail('Services', 'down', 'see /srv/bench/logs')", ""),
		("StepFailed('Restarting', name, 'it died', f'see {log}')", ""),
		("StepFailed('Restarting', name, why, remedy)", ""),
	],
)
def test_what_is_found_fault_with(source, problem):
	call = ast.parse(source).body[0].value
	found = complain(call.func.id, call.args)
	assert problem in found if problem else found == ""


def test_a_reason_names_its_object_once():
	assert StepFailed("Stabilising", "web:1", "died", "").told == "web:1: died"
	assert (
		StepFailed("Migrating", "a.example", "a.example, app shop: it failed", "").told.count("a.example")
		== 1
	)
	assert Stopped("Stopping", "run x", "ada: lunch").told == "ada: lunch"


def test_the_log_is_named_wherever_it_stands():
	error = CommandFailed("Doing", "git", "it says: see the step's log", "see the step's log for more")
	error.name_log("/srv/x.log")
	assert (error.why, error.remedy) == ("it says: see /srv/x.log", "see /srv/x.log for more")
	assert error.as_data()["remedy"] == "see /srv/x.log for more"


def test_the_reason_of_a_run_names_what_failed():
	from press_deploy.engine.execution.runner import _tell

	step = SimpleNamespace(title="Stabilise")
	assert _tell(step, StepFailed("Stabilising", "web:1", "died", "")) == "Stabilise: web:1: died"
	assert _tell(step, StepFailed("Observing", "Stabilise", "not yet", "")) == "Stabilise: not yet"
