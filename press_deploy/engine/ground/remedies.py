"""What to do about faults that are met in many places: one wording, with the command to type.

Invariant: each names a command, a path or a setting.
"""

from __future__ import annotations

import shlex
from pathlib import Path

OTHER_BACKUP = "use another backup; press-deploy backup --list names them"
NEW_BACKUP = "make a new backup: press-deploy backup SITE"
LOAD_STANDBY = "load it first: press-deploy standby --load RUN"


def see_disk(path: Path | str) -> str:
	"""For a file that can't be read or written: its rights and its disk."""
	place = shlex.quote(str(path))
	return f"see its rights (ls -ld {place}) and its disk (df -h {place}; sudo dmesg)"
