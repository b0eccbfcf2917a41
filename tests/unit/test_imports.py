"""What is asked often, or needed early, brings no library along that it has no use for."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from press_deploy.cli.main import COMMANDS, main

CLOUDS = ("boto3", "botocore", "requests", "urllib3", "cryptography", "google")


def list_imported(code: str) -> set[str]:
	"""The modules of a fresh interpreter that has executed this code."""
	shown = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
	return set(json.loads(subprocess.check_output([sys.executable, "-c", shown], text=True)))


@pytest.mark.parametrize(
	("code", "unused"),
	[
		("import press_deploy.engine.plan.spec", CLOUDS),
		("import press_deploy.cli.main", (*CLOUDS, "pydantic", "rich", "press_deploy.engine")),
		("import press_deploy.cli.status", (*CLOUDS, "pydantic", "jinja2", "pymysql")),
		("import press_deploy.engine.execution.execution", ("boto3", "botocore", "google")),
	],
)
def test_it_imports_no(code: str, unused: tuple[str, ...]) -> None:
	imported = list_imported(code)
	assert any(name.startswith("press_deploy") for name in imported)
	assert not imported & set(unused)


def test_no_command_imports_the_demo() -> None:
	"""In one interpreter, since what one of them brings along would be there for all."""
	modules = {f"press_deploy.cli.{module}" for name, (module, *_) in COMMANDS.items() if name != "demo"}
	imported = list_imported("\n".join(f"import {module}" for module in sorted(modules)))
	assert modules <= imported and "press_deploy.demo" not in imported


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(name: str) -> None:
	command = main.get_command(click.Context(main), name)
	assert command is not None and command.name == name
	assert command.get_short_help_str(limit=200) == COMMANDS[name][1]
