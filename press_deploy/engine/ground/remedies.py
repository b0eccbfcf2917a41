"""What to do about faults that are met in many places: one wording, with the command to type.

Invariant: each names a command, a path or a setting.
"""

from __future__ import annotations

import shlex
from pathlib import Path

SERVER_LOG = "MariaDB's error log (journalctl -u mariadb, or the file that SELECT @@log_error names)"
SERVER_RUNS = "see whether MariaDB runs (systemctl status mariadb)"
OTHER_BACKUP = "use another backup; press-deploy backup --list names them"
NEW_BACKUP = "make a new backup: press-deploy backup SITE"
# What reads a database as SQL and copies no files of the server.
AS_SQL = "set the backup's method to “stream” in the plan, or: press-deploy backup SITE --method stream"
LOAD_STANDBY = "load it first: press-deploy standby --load RUN"
WAITS_FOR = "see what it waits for: mariadb -e 'SHOW FULL PROCESSLIST'"


def see_disk(path: Path | str) -> str:
	"""For a file that can't be read or written: its rights and its disk."""
	place = shlex.quote(str(path))
	return f"see its rights (ls -ld {place}) and its disk (df -h {place}; sudo dmesg)"


def drop_by_hand(database: str) -> str:
	"""For a database in the way that this run may not touch."""
	quoted = database.replace("`", "``")
	return f"see what is in it (press-deploy standby); if nobody needs it, drop it: DROP DATABASE `{quoted}`"
