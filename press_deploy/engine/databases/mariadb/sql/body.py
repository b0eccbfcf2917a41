"""Is the body of a trigger, routine or event one statement, or does another one follow it?

The server takes several statements at once, separated by `;`, and in a body semicolons stand too. So blocks are
followed from BEGIN to END. What a body does is not looked at: loading a dump does not execute it.

Invariant: a semicolon passes only inside a block that is certainly open. A word that is not where the language
asks for it is refused: it might be a name that looks like the beginning or the end of a block.
"""

from __future__ import annotations

from dataclasses import dataclass

from press_deploy.engine.databases.mariadb.sql.refusals import PLAIN_BODY, Unclear
from press_deploy.engine.databases.mariadb.sql.words import NAME, NUMBER, STRING, Word

NOT_UNDERSTOOD = "its body can't be understood"

_EXPRESSION, _BLOCK = b"CASE of an expression", b"BEGIN"
# After its head, a statement of this kind has a list of statements, which begins with the word named here.
_LEADS = {b"IF": b"THEN", b"CASE": b"THEN", b"WHILE": b"DO", b"FOR": b"DO"}
_OPENING = (_BLOCK, b"IF", b"CASE", b"WHILE", b"FOR", b"LOOP", b"REPEAT")
_KEYWORDS = {b"CASE", b"WHEN", b"THEN", b"ELSE", b"ELSEIF", b"END", b"DO", b"UNTIL"}


@dataclass
class _Open:
	"""A block that is open; `head` while its list of statements has not begun, or is over (behind UNTIL)."""

	kind: bytes
	head: bool


def check_body(words: list[Word]) -> None:
	"""Raises `Unclear` where the words are not certainly one statement."""
	_Body(words).check()


class _Body:
	def __init__(self, words: list[Word]):
		self._words, self._place = words, 0
		self._open: list[_Open] = []
		self._parentheses = 0
		# Whether a statement may begin here.
		self._start = True

	def check(self) -> None:
		while self._place < len(self._words):
			sign = self._sign()
			self._place += 1
			if sign == b";":
				self._end_statement()
			elif self._start and self._skip_label():
				continue
			elif self._start:
				self._begin_statement(sign)
			else:
				self._go_on(sign)
		if self._open or self._parentheses:
			raise Unclear("its body does not end", PLAIN_BODY)

	def _sign(self, ahead: int = 0) -> bytes:
		"""The word that comes; nothing behind the last one, and for what is part of a name."""
		place = self._place + ahead
		if place >= len(self._words):
			return b""
		sign = self._words[place].sign
		is_part = place and self._words[place - 1].sign == b"." and sign[:1].isalpha()
		return NAME if is_part else sign

	def _top(self) -> _Open:
		return self._open[-1] if self._open else _Open(b"", False)

	def _skip_label(self) -> bool:
		if self._sign() != b":":
			return False
		self._place += 1
		return True

	def _end_statement(self) -> None:
		top = self._top()
		if not self._open:
			raise Unclear("more than one statement stands in it")
		if self._parentheses or top.kind == _EXPRESSION or top.head:
			raise Unclear(NOT_UNDERSTOOD, PLAIN_BODY)
		self._start = True

	def _begin_statement(self, sign: bytes) -> None:
		top, self._start = self._top(), False
		if sign in _OPENING:
			self._open.append(_Open(sign, sign in _LEADS))
			self._start = sign not in _LEADS
			if sign == _BLOCK and (self._sign(), self._sign(1)) == (b"NOT", b"ATOMIC"):
				self._place += 2
		elif sign == b"DECLARE":
			self._declare()
		elif sign == b"END":
			self._close()
		elif sign == b"ELSE" and top.kind in (b"IF", b"CASE"):
			self._start = True
		elif (sign, top.kind) in ((b"ELSEIF", b"IF"), (b"WHEN", b"CASE")):
			top.head = True
		elif (sign, top.kind) == (b"UNTIL", b"REPEAT"):
			top.head = True
		elif sign in _KEYWORDS and sign != b"DO":
			raise Unclear(NOT_UNDERSTOOD, PLAIN_BODY)
		elif sign == b"(":
			self._parentheses += 1

	def _close(self) -> None:
		if not self._open:
			raise Unclear(NOT_UNDERSTOOD, PLAIN_BODY)
		closed = self._open.pop()
		if closed.kind != _BLOCK:
			if self._sign() != closed.kind:
				raise Unclear(NOT_UNDERSTOOD, PLAIN_BODY)
			self._place += 1

	def _go_on(self, sign: bytes) -> None:
		"""Inside a statement."""
		top = self._top()
		self._parentheses += (sign == b"(") - (sign == b")")
		if sign == b"CASE":
			self._open.append(_Open(_EXPRESSION, False))
		elif top.kind == _EXPRESSION:
			if sign == b"END":
				self._open.pop()
			elif sign in (b"ELSEIF", b"DO", b"UNTIL"):
				raise Unclear(NOT_UNDERSTOOD, PLAIN_BODY)
		elif top.head and sign == _LEADS.get(top.kind) and not self._parentheses:
			top.head, self._start = False, True
		elif top.head and (top.kind, sign) == (b"REPEAT", b"END") and not self._parentheses:
			self._close()
		elif sign in _KEYWORDS and not (sign == b"WHEN" and top.head and top.kind == b"CASE"):
			raise Unclear(NOT_UNDERSTOOD, PLAIN_BODY)

	def _declare(self) -> None:
		"""A handler is followed by a statement; what else is declared ends with its semicolon."""
		if (self._sign(1), self._sign(2)) != (b"HANDLER", b"FOR"):
			return
		self._place += 3
		while True:
			self._skip_condition()
			if self._sign() != b",":
				break
			self._place += 1
		self._start = True

	def _skip_condition(self) -> None:
		sign = self._sign()
		if sign == b"SQLSTATE":
			self._place += 1 + (self._sign(1) == b"VALUE")
			sign = self._sign()
			if sign != STRING:
				raise Unclear(NOT_UNDERSTOOD, PLAIN_BODY)
		elif sign == b"NOT":
			self._place += 1
		elif not sign or (not sign[:1].isalpha() and sign not in (NAME, NUMBER)):
			raise Unclear(NOT_UNDERSTOOD, PLAIN_BODY)
		self._place += 1
