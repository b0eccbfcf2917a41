"""SQLite, as the table of engines has it."""

from __future__ import annotations

from press_deploy.engine.databases.engine import Engine
from press_deploy.engine.databases.sqlite import (
	dump_format,
	dumping,
	figures,
	loading,
	others,
	proving,
	sessions,
	standby,
)

SQLITE = Engine(
	"sqlite", "SQLite", dump_format, figures, dumping, loading, standby, others, proving, sessions
)
