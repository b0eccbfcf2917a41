"""The table of engines: every folder has what the port says, and who is not in the table is refused."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import pytest

import press_deploy
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases import engines
from press_deploy.engine.databases.engine import DumpFormat, Engine
from press_deploy.engine.databases.engines import ENGINES, FORMATS, engine_of, find_engine
from press_deploy.engine.ground.checks import FAILED, OK
from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.steps.preflight.engines import check_engines, list_sites_with_engine

from .support import SITE, make_bench

HOUSE = Path(press_deploy.__file__).parent
FOLDER = Path(engines.__file__).parent
PARTS = {name: port for name, port in get_type_hints(Engine).items() if port is not str}
# Who needs not know of an engine's folder, nor name it.
OUTSIDE = [
	path
	for path in sorted(HOUSE.rglob("*.py"))
	if not any(path.is_relative_to(FOLDER / name) for name in (*ENGINES, "postgresql"))
	and not path.name.startswith("test_")
]


def members(port: type) -> dict[str, object]:
	functions = {
		name: each for name, each in vars(port).items() if inspect.isfunction(each) and name[0] != "_"
	}
	return {**vars(port).get("__annotations__", {}), **functions}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ENGINES)
def test_a_folder_holds_what_the_port_says(name: str, part: str) -> None:
	module = getattr(ENGINES[name], part)
	assert Path(module.__file__) == FOLDER / name / f"{part}.py"
	compare(module, PARTS[part])


def test_every_format_is_whole() -> None:
	for known in FORMATS:
		compare(known, DumpFormat)
	assert len({known.NAME for known in FORMATS}) == len(FORMATS)


def compare(module: object, port: type) -> None:
	for name, wanted in members(port).items():
		assert hasattr(module, name), f"{module} has no {name}"
		if inspect.isfunction(wanted):
			found = list(inspect.signature(getattr(module, name)).parameters)
			assert found == list(inspect.signature(wanted).parameters)[1:], f"{module}: {name}"


def test_a_site_that_names_no_engine_is_on_frappes_own() -> None:
	assert engine_of(None) is engine_of("") is engine_of("mariadb")


@pytest.mark.parametrize("db_type", ["postgres", "Mariadb", "mysql", 7])
def test_an_engine_that_is_not_in_the_table_is_refused(db_type: object) -> None:
	assert find_engine(db_type) is None
	with pytest.raises(Refused, match="deploy sites on MariaDB or SQLite") as refused:
		engine_of(db_type)
	assert str(db_type) in refused.value.what and "not rolled back" in refused.value.why


@pytest.mark.parametrize(
	("config", "outcome", "words", "known"),
	[
		('{"db_type": "sqlite"}', OK, "SQLite", [SITE]),
		("{}", OK, "MariaDB", [SITE]),
		('{"db_type": "postgres"}', FAILED, "backups of postgres were not tested", []),
	],
)
def test_preflight_refuses_a_site_on_another_engine(
	tmp_path: Path, config: str, outcome: str, words: str, known: list[str]
) -> None:
	bench = Bench(make_bench(tmp_path))
	bench.site_config(SITE).write_text(config)
	run = SimpleNamespace(bench=bench, spec=SimpleNamespace(site_names=[SITE, "none.example"]))
	(check,) = check_engines(run, None)
	assert (check.outcome, words in check.found, SITE in check.name) == (outcome, True, True)
	assert list_sites_with_engine(run) == known


def test_nobody_outside_an_engines_folder_compares_its_name() -> None:
	names, found = {*ENGINES, "postgres", "postgresql"}, []
	for path in OUTSIDE:
		for node in ast.walk(ast.parse(path.read_text())):
			if isinstance(node, ast.Compare):
				sides = [each for side in (node.left, *node.comparators) for each in ast.walk(side)]
				found += [
					f"{path}:{node.lineno}"
					for side in sides
					if isinstance(side, ast.Constant) and side.value in names
				]
	assert not found


def test_nobody_outside_imports_from_an_engines_folder_but_the_table() -> None:
	folders = tuple(f"press_deploy.engine.databases.{name}" for name in ENGINES)
	found = [
		f"{path}: {node.module}"
		for path in OUTSIDE
		if path != FOLDER / "engines.py"
		for node in ast.walk(ast.parse(path.read_text()))
		if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(folders)
	]
	assert not found
