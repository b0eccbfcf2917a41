"""Telling people: the table of channels, each of which is a file here.

Invariant: a message that can't be sent through one channel is sent through the others, and never stops a deployment.
"""

from __future__ import annotations

from collections.abc import Callable

from press_deploy.engine.channels import bell, mail
from press_deploy.engine.channels.base import Delivery, Desk, Message

CHANNELS: dict[str, Callable[[Desk, list[str], Message], Delivery]] = {
	"bell": bell.send,
	"mail": mail.send,
}


def tell(desk: Desk, recipients: list[str], message: Message) -> Delivery:
	"""Send a message through every channel: how many it counts as sent to, and what went wrong on the way."""
	deliveries = [send(desk, recipients, message) for send in CHANNELS.values()]
	return Delivery(
		sum(each.sent for each in deliveries), [problem for each in deliveries for problem in each.problems]
	)
