"""The users of this machine, for people."""

from __future__ import annotations

import pwd


def name_user(uid: int) -> str:
	try:
		return pwd.getpwuid(uid).pw_name
	except KeyError:
		return f"user {uid}"
