"""For who is in no site, as the runner: a site process sends through the channels."""

from __future__ import annotations

from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.channels.base import Delivery, Message

NOTIFY_SECONDS = 60


def tell_through_site(
	site_processes: SiteProcesses, site: str, recipients: list[str], message: Message
) -> Delivery:
	"""All channels in one process, which takes a second to start. Raises `DeployError` where it comes to no answer.

	The site's code is that of whichever release is there: its answer may be of any shape, and this raise anything.
	"""
	answer = site_processes.call(
		"notify",
		site,
		timeout=NOTIFY_SECONDS,
		recipients=recipients,
		subject=message.subject,
		message=message.text,
		at_once=message.at_once,
	)
	problem = answer.get("problem", "")
	return Delivery(int(answer["sent"]), [problem] if problem else [])
