"""Reads the SQL of a dump as it streams by: what it creates, how many rows it inserts, where it was cut off.

Strings are told from the rest by removing escapes and splitting at quotes, as `mariadb-dump` writes them:
escaped with backslashes, no line break inside. A line break inside one, written by others, is borne.

Invariant: a statement that is not known to stay inside its own database is refused, and so is one that
can't be understood.
"""

from __future__ import annotations

import re
from typing import NoReturn

from press_deploy.engine.backup.dump_file import DamagedFile

CLOSING_LINE = b"-- Dump completed"
# By then the head of an INSERT, up to VALUES, has been read: 4096 columns of 64 characters.
HEADER_LIMIT = 1 << 20
SHOWN_BYTES = 60
_NAME = rb"`((?:[^`]|``)+)`"
_INSERT = re.compile(
	rb"(?:INSERT|REPLACE)(?: +(?:IGNORE|DELAYED))? INTO "
	+ _NAME
	+ rb"(\s*\.\s*`(?:[^`]|``)+`)?\s*(?:\(`(?:[^`]|``)+`(?:, ?`(?:[^`]|``)+`)*\)\s*)?VALUES"
)
# The statement of a trigger is kept as it was typed, with a name that may stand without quotes.
_CREATE = re.compile(
	rb"CREATE\b.*?\b(TABLE|VIEW|SEQUENCE|TRIGGER|PROCEDURE|FUNCTION|EVENT|PACKAGE BODY|PACKAGE) "
	rb"(?:IF NOT EXISTS )?(?:" + _NAME + rb"|([\w$\x80-\xff]+))( ?\. ?[`\w])?",
	re.DOTALL | re.IGNORECASE,
)
# Statements that `mariadb-dump` and `mysqldump` write for one database, besides CREATE and INSERT.
_KNOWN = re.compile(
	rb"(?:SET (?!GLOBAL\b|PERSIST|PASSWORD|@@GLOBAL)|(?:UN)?LOCK TABLES?\b|ALTER TABLE |DO SETVAL|SELECT SETVAL"
	rb"|COMMIT\b|START TRANSACTION|BEGIN\b"
	rb"|DROP (?:TABLE|VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT|SEQUENCE|PACKAGE)\b)",
	re.IGNORECASE,
)
_LEAVES_DATABASE = re.compile(rb"(?:USE\b|(?:CREATE|DROP|ALTER)(?: OR REPLACE)? (?:DATABASE|SCHEMA)\b)", re.I)
_OTHER_DATABASE = re.compile(rb"(?:TABLES?|VIEW|SEQUENCE) (?:IF EXISTS )?" + _NAME + rb" ?\. ?`", re.I)
# A comment of this form is executed, from the version on that it names.
_EXECUTED = re.compile(rb"/\*M?!\d*|\*/|\s+")
_QUOTED = re.compile(rb"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`", re.DOTALL)
_BLANK = re.compile(rb"\s*")
_SANDBOX = b"/*M!999999\\-"
_KINDS = {b"PACKAGE BODY": "package bodies"}


class SqlScanner:
	"""`feed` it the SQL of a MariaDB dump, then `finish`; the rest is what it found."""

	def __init__(self) -> None:
		# Rows by table, and the names of everything else by kind (“views”, “triggers”, …).
		self.rows: dict[str, int] = {}
		self.objects: dict[str, set[str]] = {}
		self._buffer = bytearray()
		self._delimiter = b";"
		self._table: str | None = None
		self._in_string = False
		self._closed = False

	def feed(self, chunk: bytes) -> None:
		"""Raises `DamagedFile`."""
		self._buffer += chunk
		while self._take():
			pass

	def finish(self) -> None:
		"""Say how a dump that was cut off ends. Raises `DamagedFile`."""
		rest = bytes(self._buffer).strip()
		if rest.startswith((b"INSERT", b"REPLACE")) and b";\n" in self._buffer:
			self._refuse(rest, "it can't be understood")
		if self._is_inside(rest):
			place = f" that fills table {self._table}" if self._table else ""
			raise DamagedFile(
				"closing line", f"it ends in the middle of a statement{place}, so it was cut off there"
			)
		if not self._closed:
			raise DamagedFile(
				"closing line",
				"its closing line “-- Dump completed” is missing, so it was cut off between two statements",
			)
		# Before a view comes a table in its place, for views that need each other.
		for view in self.objects.get("views", ()):
			self.rows.pop(view, None)

	def _is_inside(self, rest: bytes) -> bool:
		"""Whether the end came inside a statement; a statement may lack its line break."""
		if self._table is not None:
			return self._in_string or rest != b";"
		return self._delimiter != b";" or (
			bool(rest) and not rest.startswith(b"--") and not rest.endswith(b";")
		)

	def _take(self) -> bool:
		"""Take one line or statement, or a part of an INSERT, from the buffer; False when more is needed."""
		buffer = self._buffer
		if self._table is not None:
			return self._take_rows()
		del buffer[: _BLANK.match(buffer).end()]
		if buffer.startswith((b"--", _SANDBOX)):
			return self._take_line()
		if len(buffer) < len(_SANDBOX):
			return False
		if buffer[:10].upper() == b"DELIMITER ":
			return self._take_line()
		if buffer.startswith((b"INSERT", b"REPLACE")):
			return self._take_insert()
		return self._take_statement()

	def _take_line(self) -> bool:
		end = self._buffer.find(b"\n")
		if end < 0:
			return False
		line = bytes(self._buffer[:end])
		del self._buffer[: end + 1]
		if line[:10].upper() == b"DELIMITER ":
			self._delimiter = line[10:].strip()
		elif line.startswith(CLOSING_LINE):
			self._closed = True
		return True

	def _take_insert(self) -> bool:
		header = _INSERT.match(self._buffer)
		if not header:
			if len(self._buffer) < HEADER_LIMIT:
				return False
			self._refuse(bytes(self._buffer), "it can't be understood")
		if header.group(2):
			self._refuse(header.group(), "it names another database")
		self._refuse_after_end()
		self._table = _decode(header.group(1))
		self.rows.setdefault(self._table, 0)
		del self._buffer[: header.end()]
		return True

	def _take_rows(self) -> bool:
		end = self._buffer.find(b";\n")
		size = _whole_escapes(self._buffer) if end < 0 else end
		self._count(bytes(self._buffer[:size]))
		del self._buffer[:size]
		if end < 0:
			return False
		del self._buffer[:2]
		if not self._in_string:
			# Otherwise that semicolon is a character of the string.
			self._table = None
		return True

	def _count(self, text: bytes) -> None:
		"""Outside of strings a row is the only thing that opens a parenthesis."""
		parts = text.replace(b"\\\\", b"").replace(b"\\'", b"").split(b"'")
		outside = b"".join(parts[1::2] if self._in_string else parts[::2])
		self._in_string ^= len(parts) % 2 == 0
		if b";" in outside:
			self._refuse(outside[outside.index(b";") :], "it stands in the line of another statement")
		assert self._table is not None
		self.rows[self._table] += outside.count(b"(")

	def _take_statement(self) -> bool:
		end = self._buffer.find(self._delimiter + b"\n")
		if end < 0:
			return False
		statement = bytes(self._buffer[:end])
		del self._buffer[: end + len(self._delimiter) + 1]
		head = _EXECUTED.sub(b" ", statement).strip()
		head = re.sub(rb" {2,}", b" ", head)
		if not head:
			return True
		self._refuse_after_end()
		if self._delimiter == b";" and b";" in _QUOTED.sub(b"", statement):
			self._refuse(statement, "more than one statement stands in one line")
		self._note(head)
		return True

	def _note(self, head: bytes) -> None:
		if _LEAVES_DATABASE.match(head):
			self._refuse(head, "loading it would leave its own database, and might change another")
		created = _CREATE.match(head)
		# What a routine does when it is called is not looked at.
		if created.group(4) if created else _OTHER_DATABASE.search(head):
			self._refuse(head, "it names another database")
		if not created and not _KNOWN.match(head):
			self._refuse(head, "no dump of one database holds such a statement")
		if created:
			kind, name = created.group(1).upper(), _decode(created.group(2) or created.group(3))
			if kind == b"TABLE":
				self.rows.setdefault(name, 0)
			else:
				self.objects.setdefault(_KINDS.get(kind, f"{kind.decode().lower()}s"), set()).add(name)

	def _refuse_after_end(self) -> None:
		if self._closed:
			raise DamagedFile("closing line", "more statements follow its closing line “-- Dump completed”")

	def _refuse(self, statement: bytes, why: str) -> NoReturn:
		# The beginning alone, and no value of it: a dump holds passwords.
		head = _QUOTED.sub(b"`...`", statement[:4096].partition(b"(")[0])[:SHOWN_BYTES]
		shown = re.split(rb"['\"\n]", head)[0].decode("utf-8", "replace").strip()
		raise DamagedFile("statements", f"a statement in it is refused, {why}: {shown}")


def _whole_escapes(text: bytearray) -> int:
	"""How much can be read before the rest comes: an escape, and the end of a statement, stay in one piece."""
	size = len(text)
	while size and text[size - 1] in b"\\;":
		size -= 1
	return size


def _decode(name: bytes) -> str:
	return name.replace(b"``", b"`").decode("utf-8", "replace")
