"""Which people of the plan are told what, and when; `channels` are the ways to them, through the control site.

Invariant: a message that can't be sent never stops a run. What a person must act on is told until it was sent, so
that a kill in between may tell it twice; anything else at most once.
"""

from __future__ import annotations

import time

from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.channels.base import Message
from press_deploy.engine.channels.through_site import tell_through_site
from press_deploy.engine.journal.state import State
from press_deploy.engine.steps.run import Run

SUBJECTS = {
	State.WAITING: "Deployment waits for a person: {title}",
	State.FATAL: "Deployment needs a person at once: {title}",
}


def can_announce(run: Run) -> bool:
	"""Whether the plan names anybody, and a site through which they can be told."""
	return bool(run.spec.notify and run.spec.control_site)


def announce(
	run: Run, site_processes: SiteProcesses, subject: str, *lines: str, at_once: bool = False
) -> tuple[int, str]:
	"""Tell everybody whom the plan names: (how many were told, what was wrong).

	`at_once`: mail does not wait for the site's queue, which stands still while the site is in maintenance.
	"""
	about = f"Run {run.name} on {', '.join(run.spec.site_names)}."
	message = Message(subject.format(title=run.spec.title), "\n".join((about, *lines)), at_once)
	try:
		told = tell_through_site(site_processes, run.spec.control_site, run.spec.notify, message)
	except Exception as error:
		run.log_exception()
		return 0, str(error)
	return told.sent, "; ".join(told.problems)


def tell_who_must_act(run: Run, site_processes: SiteProcesses) -> None:
	"""Tell people that the run waits for them, or ended Fatal, unless they were told."""
	state = run.state
	if state.state not in SUBJECTS or not can_announce(run) or state.told_seq >= state.asked_seq:
		return
	with run.log_of("tell-people"):
		sent, problem = announce(run, site_processes, SUBJECTS[state.state], *_describe(run), at_once=True)
		if sent:
			run.journal.append("people-told", {"about": state.asked_seq, "sent": sent})
		if problem:
			_note_once(run, f"Not everybody could be told that the run needs a person: {problem}")


def _describe(run: Run) -> list[str]:
	state = run.state
	more = f"What can be done: {run.bench.command_to_type('status', run.name)}"
	if state.state is State.FATAL:
		return [state.reason, more]
	deadline = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(state.waiting["deadline"]))
	follows = {"roll_back": "it is rolled back", "keep": "the sites are opened again as they are"}
	follow = follows.get(state.waiting["when_nobody_decides"])
	until = [f"If nobody decides until {deadline} UTC, {follow}."] if follow else []
	return [state.waiting["reason"], *until, more]


def _note_once(run: Run, text: str) -> None:
	"""A run that waits is looked at again and again; its people need not read this each time."""
	if not any(note.get("text") == text for note in run.state.notes):
		run.note(text)
