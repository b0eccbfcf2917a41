"""The standby database: the backup, loaded and proven beside the live database, ready to be swapped in."""

from __future__ import annotations

from press_deploy.engine.standby.base import StandbyDatabase
from press_deploy.engine.standby.opening import list_databases, open_standby

__all__ = ["StandbyDatabase", "list_databases", "open_standby"]
