"""What people ask of a run: abort, roll back, GO, NO-GO. Each is a file in the run's directory.

Invariant: a request is taken once. The runner notes its name in the journal before it acts on it.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, Literal, get_args

from press_deploy.engine.ground import durable, inputs
from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState, load_state

Action = Literal["abort", "rollback", "go", "no-go", "approve"]
STOPS: tuple[Action, ...] = ("abort", "rollback", "no-go")


@dataclass(frozen=True)
class Request:
	name: str
	action: Action
	by: str
	reason: str
	time: str
	# A rollback that takes the database with it, and the SHA-256 of the list that the person was shown.
	database: bool = False
	approves: str | None = None
	# The question that was open when it was said: the journal's number of the record.
	answers: int | None = None


def put_request(
	run: RunDirectory,
	action: Action,
	by: str,
	reason: str,
	*,
	database: bool = False,
	approves: str | None = None,
) -> Request:
	"""Leave a request for the runner, alive now or resumed later. Raises `InputError`, `JournalDamaged`."""
	if action not in get_args(Action):
		raise InputError("action", action, "it is unknown", f"use one of {', '.join(get_args(Action))}")
	for field, value in (("by", by), ("reason", reason)):
		try:
			inputs.line(value, limit=500)
		except ValueError as error:
			why, _, remedy = str(error).partition("; ")
			raise InputError(field, value, why, remedy) from None
	check_approval(approves)
	now = datetime.now(timezone.utc)
	name = f"{now.strftime('%Y%m%d-%H%M%S-%f')}-{secrets.token_hex(2)}"
	moment = now.isoformat(timespec="microseconds")
	question = load_state(run).waiting
	answers = question["seq"] if question else None
	request = Request(name, action, by, reason, moment, database, approves, answers)
	durable.write_json(run.requests / f"{name}.json", asdict(request))
	return request


def check_approval(sha256: str | None) -> None:
	"""Raise `InputError` unless it may be the SHA-256 of a list of lost documents."""
	try:
		if sha256 is not None:
			inputs.sha256(sha256)
	except ValueError as error:
		why = str(error).partition("; ")[0]
		raise InputError("approve", sha256, why, "repeat the SHA-256 that stands below the list") from None


def read_requests(run: RunDirectory, taken: set[str]) -> list[Request]:
	"""The requests nobody took yet, oldest first. A file that is not a request is passed over."""
	requests = []
	for path in sorted(run.requests.glob("[0-9]*.json")):
		if path.stem in taken:
			continue
		try:
			request = Request(**json.loads(path.read_text()))
		except (ValueError, TypeError):
			continue
		if request.name == path.stem and request.action in get_args(Action):
			requests.append(request)
	return requests


def find_stop(state: RunState) -> dict[str, Any] | None:
	"""The first request to stop the run, as in the journal, that nothing has answered.

	A GO that was followed answers the NO-GO before it; a rollback that was given up answers all requests before it.
	"""
	for request in state.requests:
		answered = max(state.given_up_seq, state.went_on_seq if request["action"] == "no-go" else 0)
		if request["action"] in STOPS and request["seq"] > answered:
			return request
	return None
