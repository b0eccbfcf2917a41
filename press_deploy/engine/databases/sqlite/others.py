"""Others at work on a site's SQLite file: there is no server, so nobody can be told, and none holds a table for long."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from press_deploy.engine.databases.engine import Company, Watch


def look_at(config: dict[str, Any], site: str) -> AbstractContextManager[Company | None]:
	return nullcontext()


def watch_locks(config: dict[str, Any], watch: Watch) -> AbstractContextManager[Any]:
	return nullcontext()
