"""Events that are asleep from the moment they are made, in a database that is not in use.

Loaded awake and disabled afterwards, they would be at work on the server while a backup is loaded, and for as long
as somebody takes to notice where that was interrupted. So a dump's statements are changed on their way: what is
to be awake is made `DISABLE ON SLAVE`, which no event of ours is otherwise, and is known by it afterwards.

Invariant: only the word for its status changes, in what `mariadb-dump` writes to make an event. An event that
the server was never to run stays one: `DISABLE ON SLAVE` of the backup's own becomes `DISABLE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from press_deploy.engine.databases.mariadb.objects import StoredObject

_QUOTED = rb"`(?:[^`]|``)*`"
_HEAD = b"\n/*!50106 CREATE*/ /*!50117 DEFINER="
# Data in a dump has no line of its own: a line break in it is written as two characters.
_STATEMENT = re.compile(
	# A role that defines one has no host.
	rb"(" + re.escape(_HEAD) + _QUOTED + rb"(?:@" + _QUOTED + rb")?\*/ /\*!50106 EVENT " + _QUOTED
	+ rb" ON SCHEDULE [^`]*? ON COMPLETION (?:NOT )?PRESERVE )"
	+ rb"(ENABLE|DISABLE ON SLAVE|DISABLE)( DO | COMMENT )"
)  # fmt: skip
# More than the names in it and its schedule can be long.
_LONGEST = 8192
_LAID = {"ENABLE": "DISABLE ON SLAVE", "DISABLE ON SLAVE": "DISABLE", "DISABLE": "DISABLE"}
_STATUS = re.compile(r"( ON COMPLETION (?:NOT )?PRESERVE )(ENABLE|DISABLE ON SLAVE|DISABLE)\b")


def lay_asleep(objects: list[StoredObject]) -> list[StoredObject]:
	"""The same objects, the events among them to be made asleep."""
	return [_change_status(each, _LAID) for each in objects]


def call_awake(events: list[StoredObject]) -> list[StoredObject]:
	"""Events that were made asleep, as they are to be once their database is in use."""
	return [_change_status(each, {"DISABLE ON SLAVE": "ENABLE"}) for each in events]


def lay_asleep_in(chunks: Iterable[bytes]) -> Iterator[bytes]:
	"""The same dump, unpacked and piece by piece, its events to be made asleep."""
	kept = b""
	for chunk in chunks:
		data = kept + chunk
		end = max(0, len(data) - _LONGEST)
		if _HEAD in data:
			# One that begins before `end` is whole in what is there; one that was seen is not to be seen again.
			end = max([end, *(match.end() for match in _STATEMENT.finditer(data))])
			yield _STATEMENT.sub(_lay, data[:end])
		else:
			yield data[:end]
		kept = data[end:]
	yield _STATEMENT.sub(_lay, kept)


def _lay(match: re.Match[bytes]) -> bytes:
	return match[1] + _LAID[match[2].decode()].encode() + match[3]


def _change_status(each: StoredObject, words: dict[str, str]) -> StoredObject:
	if each["kind"] != "EVENT":
		return each
	create = _STATUS.sub(lambda match: match[1] + words.get(match[2], match[2]), each["create"], count=1)
	return {**each, "create": create}
