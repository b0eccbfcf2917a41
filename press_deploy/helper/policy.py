"""Who may do what: one table. What is not in it is denied.

Invariant: what `authorise` returns holds only values that were checked here against the root-owned
configuration. No path, command or environment ever comes from a caller.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass

from .configuration import ROLES, Bench
from .errors import BadRequest, Denied
from .protocol import VERSION

RUN_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
LEASE_SECONDS = range(10, 3601)
PREVIOUS_TEXT_LENGTH = 16
MAXIMUM_INTEGER = 2**31

Validator = Callable[[object, Bench], object]


@dataclass(frozen=True)
class Request:
	"""A request that was found acceptable; `arguments` are those of the verb, all of them checked."""

	verb: str
	bench: Bench
	arguments: dict


@dataclass(frozen=True)
class Rule:
	"""Who may use a verb (by kind of caller), and what it takes; every argument is mandatory.

	`takes_caller`: the verb is about the calling process itself, whose number comes from the kernel.
	"""

	callers: frozenset[str]
	arguments: dict[str, Validator]
	takes_caller: bool = False


def check_run(value: object, bench: Bench) -> str:
	"""Accept the name of a run."""
	if isinstance(value, str) and RUN_NAME.fullmatch(value):
		return value
	raise _refusal("run", value, "give a run name: a to z, 0 to 9 and '-', at most 64 characters")


def check_sites(value: object, bench: Bench) -> list[str]:
	"""Accept a list of different sites, each known to the configuration."""
	if not isinstance(value, list) or not value:
		raise _refusal("sites", value, "give a list with at least one site")
	for site in value:
		_check_site("sites", site, bench)
	if len(set(value)) != len(value):
		raise _refusal("sites", value, "name each site once")
	return value


def check_role(value: object, bench: Bench) -> str:
	"""Accept one of the roles that services have."""
	if isinstance(value, str) and value in ROLES:
		return value
	raise _refusal("role", value, f"give one of {', '.join(ROLES)}")


def check_lease_seconds(value: object, bench: Bench) -> int:
	"""Accept a length of lease in whole seconds."""
	if type(value) is int and value in LEASE_SECONDS:
		return value
	remedy = f"give whole seconds from {LEASE_SECONDS.start} to {LEASE_SECONDS.stop - 1}"
	raise _refusal("lease_seconds", value, remedy)


def check_previous(value: object, bench: Bench) -> dict:
	"""Accept what `maintenance_on` answered: `{site: {"present": bool, "value"?: …}}`."""
	if not isinstance(value, dict):
		raise _refusal("previous", value, "give the previous value of each site")
	for site, previous in value.items():
		_check_site("previous", site, bench)
		check_previous_value(previous)
	return value


def check_previous_value(value: object) -> dict:
	"""Accept `{"present": False}` or `{"present": True, "value": null | bool | int | short text}`.

	Raises BadRequest. Operations use it too, on what they read from a file of the bench user's.
	"""
	if isinstance(value, dict) and value.get("present") is False and value.keys() == {"present"}:
		return value
	if isinstance(value, dict) and value.get("present") is True and value.keys() == {"present", "value"}:
		if _is_small(value["value"]):
			return value
	remedy = f"give an absent value, or null, a boolean, an integer or {PREVIOUS_TEXT_LENGTH} characters"
	raise _refusal("previous", value, remedy)


OWNER = frozenset({"bench_user"})
OWNER_OR_ROOT = OWNER | {"root"}
MAINTENANCE = {"run": check_run, "sites": check_sites}

POLICY: dict[str, Rule] = {
	"status": Rule(OWNER_OR_ROOT, {}),
	"maintenance_on": Rule(OWNER_OR_ROOT, {**MAINTENANCE, "lease_seconds": check_lease_seconds}),
	"maintenance_renew": Rule(OWNER_OR_ROOT, {"run": check_run, "lease_seconds": check_lease_seconds}),
	"maintenance_off": Rule(OWNER_OR_ROOT, {**MAINTENANCE, "previous": check_previous}),
	"reload": Rule(OWNER_OR_ROOT, {"role": check_role}),
	"restart": Rule(OWNER_OR_ROOT, {"role": check_role}),
	"start_runner": Rule(OWNER_OR_ROOT, {"run": check_run}),
	"resume_runner": Rule(OWNER_OR_ROOT, {"run": check_run}),
	"watch_runner": Rule(OWNER, {"run": check_run}, takes_caller=True),
	"unwatch_runner": Rule(OWNER, {"run": check_run}, takes_caller=True),
}


def authorise(message: dict, caller_uid: int, benches: dict[str, Bench]) -> Request:
	"""Turn a raw message into a request that may be executed. Raises BadRequest or Denied."""
	_check_envelope(message)
	bench = benches.get(message["bench"])
	callers = {"bench_user": bench is not None and caller_uid == bench.uid, "root": caller_uid == 0}
	if bench is None or not any(callers.values()):
		# One answer for "no such bench" and "not yours": others' benches are not to be guessed.
		raise Denied(
			f"User id {caller_uid} may not act on bench {reprlib.repr(message['bench'])}. Call as the "
			"bench's user, and have an admin check that the helper is installed for this bench."
		)
	rule = POLICY.get(message["verb"])
	if rule is None or not any(callers[kind] for kind in rule.callers):
		raise Denied(f"The verb {reprlib.repr(message['verb'])} is not one of {', '.join(POLICY)}.")
	return Request(message["verb"], bench, _check_arguments(message, rule, bench))


def _check_envelope(message: dict) -> None:
	if message.keys() != {"version", "verb", "bench", "arguments"}:
		raise BadRequest("A request has exactly the keys version, verb, bench and arguments.")
	if type(message["version"]) is not int or message["version"] != VERSION:
		remedy = (
			f"this helper speaks version {VERSION}. Bring helper and app to the same release: in the bench's "
			"directory, sudo env/bin/press-deploy helper install"
		)
		raise _refusal("version", message["version"], remedy)
	for field, kind in (("verb", str), ("bench", str), ("arguments", dict)):
		if not isinstance(message[field], kind):
			raise _refusal(field, message[field], f"give a {'text' if kind is str else 'JSON object'}")


def _check_arguments(message: dict, rule: Rule, bench: Bench) -> dict:
	arguments = message["arguments"]
	if arguments.keys() != rule.arguments.keys():
		expected = ", ".join(rule.arguments) or "no arguments"
		raise _refusal("arguments", sorted(arguments), f"{message['verb']} takes {expected}, all mandatory")
	return {name: check(arguments[name], bench) for name, check in rule.arguments.items()}


def _check_site(field: str, value: object, bench: Bench) -> None:
	if not isinstance(value, str) or value not in bench.sites:
		remedy = "name a site that the helper knows; after adding a site: sudo press-deploy-helper refresh"
		raise _refusal(field, value, remedy)


def _is_small(value: object) -> bool:
	if value is None or isinstance(value, bool):
		return True
	if isinstance(value, int):
		return abs(value) <= MAXIMUM_INTEGER
	return isinstance(value, str) and len(value) <= PREVIOUS_TEXT_LENGTH and value.isprintable()


def _refusal(field: str, value: object, remedy: str) -> BadRequest:
	return BadRequest(f"{field} is {reprlib.repr(value)}: {remedy}.")
