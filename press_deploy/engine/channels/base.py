"""What goes through a channel, what comes of it, and the Desk through which it may go.

Invariant: no channel imports Frappe; what a site knows and does for it stands behind `Desk`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from typing import Protocol


@dataclass(frozen=True)
class Message:
	"""Plain text. One that is to go `at_once` does not wait for the site's queue, which stands still in maintenance."""

	subject: str
	text: str
	at_once: bool = False

	def as_html(self) -> str:
		"""The text with nothing in it that a reader's program would follow."""
		return "<br>".join(escape(line) for line in self.text.splitlines())


@dataclass(frozen=True)
class Delivery:
	"""How many people count as told, and in words why others don't.

	Whoever must act on something is told until somebody counts.
	"""

	sent: int
	problems: list[str] = field(default_factory=list)


class Desk(Protocol):
	"""A site, as far as channels need it."""

	def find_address(self, recipient: str) -> str | None:
		"""The mail address of a recipient, who is one or a user; None where there is none."""

	def find_users(self, recipients: list[str]) -> list[str]:
		"""Those recipients who are users, by name or mail address, and may log in."""

	def send_mail(self, addresses: list[str], message: Message) -> None:
		"""Through the site's own account. Raises whatever goes wrong."""

	def ring(self, user: str, message: Message) -> None:
		"""Put a notification behind the bell of a user. Raises whatever goes wrong."""

	def attempt(self, send: Callable[[], None]) -> list[str]:
		"""Send in a transaction of its own; returns in plain words why that failed, or nothing."""
