"""The statement that makes a trigger, as it was typed, without the names of databases and other triggers in it.

Which database it was made in does not hold where it is made again; nor the trigger that it was to follow:
triggers are made again in the order in which they act.

Invariant: everything else stays as it is, letter by letter; a statement that isn't understood is none.
"""

from __future__ import annotations

import re

_GAP = r"(?:\s|/\*(?:[^*]|\*(?!/))*\*/|(?:#|--\s)[^\n]*\n)"
_NAME = r'(?:`(?:[^`]|``)*`|"(?:[^"]|"")*"|[\w$\x80-\U0010ffff]+)'
_DATABASE = rf"{_NAME}{_GAP}*\.{_GAP}*"
# The server itself puts CREATE and the definer before what was typed.
_HEAD = re.compile(
	rf"(?P<create>CREATE\s+(?:DEFINER\s*=\s*{_NAME}(?:@{_NAME})?\s+)?TRIGGER{_GAP}*)"
	rf"(?:IF{_GAP}+NOT{_GAP}+EXISTS{_GAP}*)?(?P<of>{_DATABASE})?"
	rf"(?P<when>{_NAME}{_GAP}*(?:BEFORE|AFTER){_GAP}+(?:INSERT|UPDATE|DELETE){_GAP}+ON{_GAP}*)(?P<on>{_DATABASE})?"
	rf"(?P<each>{_NAME}{_GAP}*FOR{_GAP}+EACH{_GAP}+ROW\b)"
	rf"(?:{_GAP}+(?:FOLLOWS|PRECEDES){_GAP}*{_NAME})?",
	re.IGNORECASE | re.ASCII,
)


def free_statement(statement: str) -> str | None:
	"""The statement for any database; None for one whose beginning is unknown."""
	head = _HEAD.match(statement)
	return head and head["create"] + head["when"] + head["each"] + statement[head.end() :]


def names_database(statement: str) -> bool:
	"""Whether it says in which database: a dump repeats it, and would make the trigger there."""
	head = _HEAD.match(statement)
	return bool(head and (head["of"] or head["on"]))
