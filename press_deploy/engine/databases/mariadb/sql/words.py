"""The words of one SQL statement, told apart as the server and its client tell them apart.

Comments of the form `/*!50003 … */` are executed, so their content counts as words. (MariaDB's documentation,
“Comment Syntax”: some versions of them are for MySQL alone.)

Invariant: where the server, its client and this module might see different words, the statement is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from press_deploy.engine.databases.mariadb.sql.refusals import FOR_ALL, PLAIN_BODY, Unclear

# What stands for a word in the shape of a statement: names, strings, numbers and variables have one sign each.
NAME, STRING, NUMBER, VARIABLE = b"`", b"'", b"0", b"@"
# All servers that are supported execute a comment for these; MariaDB skips those of MySQL 5.7 and later.
_EXECUTED_EVERYWHERE = (range(0, 50700), range(100000, 100617))
_WORD = re.compile(
	rb"""
	(?P<blank>\s+)
	|(?P<begin>/\*M?!(?P<version>\d{5,6})?)
	|(?P<comment>/\*(?!\+).*?\*/|/\*\+[\w\s@(),.=%]*\*/|--(?=\s|\Z)[^\n]*|\#[^\n]*)
	|(?P<end>\*/)
	|(?P<string>'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'|"[^"\\]*(?:(?:\\.|"")[^"\\]*)*")
	|(?P<name>`(?:[^`]|``)+`)
	|(?P<variable>@@?[\w.$\x80-\xff]*)
	|(?P<number>(?:\d+(?:\.\d+)?|(?<=[\s(,=<>+*-])\.\d+)(?:[eE][-+]?\d+)?(?![\w$`\x80-\xff]|\.(?!\.)))
	|(?P<word>[\w$\x80-\xff]+)
	|(?P<sign>:=|[^'"`\\\#\x00-\x1f\x7f])
	""",
	re.VERBOSE | re.DOTALL,
)
# Of such a comment, which only some servers execute: an attribute of a column, check or table, and a setting.
_FOR_SOME = re.compile(rb"/\*M?!\d{5,6} (?:INVISIBLE|SRID \d+|NOT ENFORCED|ENCRYPTION='[YN]') ?\*/")
_SETTING_FOR_SOME = re.compile(rb"/\*M?!\d{5,6} (?:SET [\w@.,= ]+|ANALYZE TABLE [^*]+)\*/\s*")
# The server reads a number here, and then a word.
_NUMBER_AND_WORD = re.compile(rb"\d+[eE]\d")
_OPEN = (b"'", b'"', b"`", b"/*")
_SIGNS = {"name": NAME, "string": STRING, "number": NUMBER, "variable": VARIABLE}


class NotOver(ValueError):
	"""The text ends inside a string, a name or a comment: what was taken for its end is none."""


@dataclass(frozen=True)
class Word:
	"""One word: its sign, and its text as it stands there."""

	sign: bytes
	text: bytes

	@property
	def name(self) -> str:
		"""The name without its quotes."""
		text = self.text[1:-1].replace(b"``", b"`") if self.sign == NAME else self.text
		return text.decode("utf-8", "replace")


def split_words(statement: bytes) -> list[Word]:
	"""The words of a statement. Raises `NotOver` and `Unclear`."""
	words: list[Word] = []
	place, inside = 0, False
	while place < len(statement):
		found = _WORD.match(statement, place)
		kind = found.lastgroup if found else None
		if found is None or (kind == "sign" and statement.startswith(b"/*", place)):
			raise _explain(statement, place)
		if kind == "begin" and not _is_executed(found.group("version")):
			if attribute := _FOR_SOME.match(statement, place):
				place = attribute.end()
				continue
			if not _SETTING_FOR_SOME.fullmatch(statement):
				raise Unclear("it is for some servers alone", FOR_ALL)
		if kind in ("begin", "end"):
			if inside == (kind == "begin"):
				raise Unclear("comments that are executed stand inside each other")
			inside = not inside
		elif kind not in ("blank", "comment"):
			words.append(_make_word(kind or "", found.group(), words))
		place = found.end()
		if kind == "comment" and place == len(statement) and not found.group().startswith(b"/*"):
			# The client takes no delimiter in the comment of a line.
			raise NotOver
	if inside:
		raise NotOver
	return words


def _make_word(kind: str, text: bytes, before: list[Word]) -> Word:
	"""Numbers that touch a point or a word are read differently by the server: `1.END`, `.5END`, `1e5END`."""
	is_after_point = bool(before) and before[-1].sign == b"."
	is_after_digits = bool(before) and before[-1].text.isdigit() and before[-1].sign != NUMBER
	if kind == "word" and (_NUMBER_AND_WORD.match(text) or (is_after_point and text[:1].isdigit())):
		raise Unclear("it can't be understood", PLAIN_BODY)
	if text == b"." and is_after_digits:
		raise Unclear("it can't be understood", PLAIN_BODY)
	return Word(_SIGNS.get(kind, text.upper()), text)


def shape_of(words: list[Word]) -> bytes:
	"""The signs of words, with one blank between them: what statements are recognised by."""
	return b" ".join(word.sign for word in words)


def _is_executed(version: bytes | None) -> bool:
	return version is None or any(int(version) in versions for versions in _EXECUTED_EVERYWHERE)


def _explain(statement: bytes, place: int) -> ValueError:
	if statement.startswith(_OPEN, place) and not statement.startswith((b"/*+", b"``"), place):
		return NotOver()
	return Unclear("it can't be understood")
