"""What to do about faults of a MariaDB server that are met in many places: see `ground/remedies.py`."""

from __future__ import annotations

SERVER_LOG = "MariaDB's error log (journalctl -u mariadb, or the file that SELECT @@log_error names)"
SERVER_RUNS = "see whether MariaDB runs (systemctl status mariadb)"
# What reads a database as SQL and copies no files of the server.
AS_SQL = "set the backup's method to “stream” in the plan, or: press-deploy backup SITE --method stream"
WAITS_FOR = "see what it waits for: mariadb -e 'SHOW FULL PROCESSLIST'"


def drop_by_hand(database: str) -> str:
	"""For a database in the way that this run may not touch."""
	quoted = database.replace("`", "``")
	return f"see what is in it (press-deploy standby); if nobody needs it, drop it: DROP DATABASE `{quoted}`"
