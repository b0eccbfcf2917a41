"""The bell of Desk, for those who are users of the site."""

from __future__ import annotations

from press_deploy.engine.channels.base import Delivery, Desk, Message


def send(desk: Desk, recipients: list[str], message: Message) -> Delivery:
	"""Nobody counts as told by it: what waits in Desk may be seen days later."""

	def ring() -> None:
		for user in desk.find_users(recipients):
			desk.ring(user, message)

	return Delivery(0, desk.attempt(ring))
