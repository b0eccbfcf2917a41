"""The engine's rooms: each imports only those before it in this list, for types as well."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import press_deploy

HOUSE = Path(press_deploy.__file__).parent
ROOMS = (
	*("ground", "plan", "bench", "journal", "homes", "databases", "backup", "safe_places", "snapshots"),
	*("site_files", "watching", "verdict", "channels", "report", "steps", "execution"),
)
FILES = sorted((HOUSE / "engine").rglob("*.py"))


def imported_from(file: Path) -> Iterator[tuple[str, ...]]:
	"""What a file imports of this app, by the parts of its name; also inside functions and `TYPE_CHECKING`."""
	for node in ast.walk(ast.parse(file.read_text())):
		if isinstance(node, ast.ImportFrom):
			yield from (tuple(f"{node.module}.{alias.name}".split(".")) for alias in node.names)
		elif isinstance(node, ast.Import):
			yield from (tuple(alias.name.split(".")) for alias in node.names)


def test_every_room_is_in_the_list_and_no_file_lies_outside() -> None:
	inside = {path.relative_to(HOUSE / "engine").parts[0] for path in FILES}
	assert inside == {*ROOMS, "__init__.py"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_those_before_it(room: str) -> None:
	allowed = ROOMS[: ROOMS.index(room) + 1]
	for file in (HOUSE / "engine" / room).rglob("*.py"):
		for package, *parts in imported_from(file):
			assert package != "frappe", f"{file} imports Frappe"
			if package == "press_deploy" and parts[0] != "helper":
				assert parts[0] == "engine" and parts[1] in allowed, f"{file} imports {'.'.join(parts)}"
