"""What the kernel says of a process: since when it lives, whose it is, where it works and what it runs.

Invariant: nothing here raises for a process that is gone, or that we may not look at; it answers None.
"""

from __future__ import annotations

import os


def find_start_ticks(pid: int) -> int | None:
	"""Return when a process started, in ticks since the machine did. With the pid and the boot it names one."""
	try:
		with open(f"/proc/{pid}/stat", "rb") as file:
			# The second field is a name in parentheses that may itself contain anything.
			return int(file.read().rpartition(b")")[2].split()[19])
	except (OSError, IndexError, ValueError):
		return None


def find_uid(pid: int) -> int | None:
	"""Return the user id that a process really has."""
	try:
		with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
			line = next(line for line in file if line.startswith("Uid:"))
		return int(line.split()[1])
	except (OSError, StopIteration, IndexError, ValueError):
		return None


def find_directory(pid: int) -> str | None:
	"""Return the directory that a process works in."""
	try:
		return os.readlink(f"/proc/{pid}/cwd")
	except OSError:
		return None


def find_command(pid: int) -> str | None:
	"""Return what a process says that it runs, its words separated by blanks."""
	try:
		with open(f"/proc/{pid}/cmdline", "rb") as file:
			return file.read(65536).replace(b"\0", b" ").decode("utf-8", "replace").strip() or None
	except OSError:
		return None
