"""TCP ports for servers that are started a moment later, and again after each restart.

Invariant: the kernel gives such a port to nobody who doesn't ask for it by its number, neither to a server that takes
any port nor to a connection that goes out. So it stays free while the server is away.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST, HIGHEST = 15_000, 65_535
ATTEMPTS = 100
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def choose_port(former: int | None = None) -> int:
	"""The former port if nobody has taken it, else one that is free."""
	low, high = _read_range()
	reserved = range(LOWEST, low) if low > LOWEST else range(high + 1, HIGHEST + 1)
	candidates = [random.choice(reserved) for _attempt in range(ATTEMPTS)] if reserved else []
	for port in [*([former] if former else []), *candidates]:
		if _is_free(port):
			return port
	return _take_any()


def _read_range() -> tuple[int, int]:
	"""The ports that the kernel gives away by itself, first and last."""
	try:
		low, high = map(int, RANGE.read_text().split())
	except (OSError, ValueError):
		return 32_768, 60_999
	return low, high


def _is_free(port: int) -> bool:
	with socket.socket() as listener:
		# As a web server does it: what is left of its former connections is no obstacle.
		listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		try:
			listener.bind((LOOPBACK, port))
		except OSError:
			return False
		return True


def _take_any() -> int:
	with socket.socket() as listener:
		listener.bind((LOOPBACK, 0))
		return listener.getsockname()[1]
