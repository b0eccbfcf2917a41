"""Mail, through the site's own account."""

from __future__ import annotations

from press_deploy.engine.channels.base import Delivery, Desk, Message


def send(desk: Desk, recipients: list[str], message: Message) -> Delivery:
	"""Whoever has no address is named; the others get it nonetheless."""
	addresses = {name: desk.find_address(name) for name in recipients}
	known = [address for address in addresses.values() if address]
	unknown = [f"no mail address: {name}" for name, address in addresses.items() if not address]
	failed = desk.attempt(lambda: desk.send_mail(known, message)) if known else []
	return Delivery(0 if failed else len(known), [*unknown, *failed])
