"""Reads the SQL of a dump as it streams by: what it creates, how many rows it inserts, where it was cut off.

Strings are told from the rest by removing escapes and splitting at quotes, as `mariadb-dump` writes them:
escaped with backslashes, no line break inside. A line break inside one, written by others, is borne.

Invariant: a statement that has none of the forms that a dump of one database consists of is refused, and so is
one that can't be understood. Rows are plain values, and go only into a table that the dump itself has made and
that has no trigger yet, so that nothing of what it defines runs while it is loaded.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NoReturn

from press_deploy.engine.databases.dumps.dump_file import DamagedFile
from press_deploy.engine.databases.mariadb.sql.forms import OTHER_DATABASE, SEVERAL, Form, recognise
from press_deploy.engine.databases.mariadb.sql.refusals import (
	AS_WRITTEN,
	FOR_ALL,
	OWN_DATABASE,
	PLAIN_BODY,
	WITH_TABLES,
	Unclear,
)
from press_deploy.engine.databases.mariadb.sql.words import NotOver, Word, split_words

CLOSING_LINE = b"-- Dump completed"
# By then the head of an INSERT, up to VALUES, has been read: 4096 columns of 64 characters.
HEADER_LIMIT = 1 << 20
SHOWN_BYTES = 80
_NAME = rb"`((?:[^`]|``)+)`"
_INSERT = re.compile(
	rb"(?:INSERT|REPLACE)(?: +(?:IGNORE|DELAYED))? INTO "
	+ _NAME
	+ rb"(\s*\.\s*`(?:[^`]|``)+`)?\s*(\(`(?:[^`]|``)+`(?:, ?`(?:[^`]|``)+`)*(?:, row_start, row_end)?\)\s*)?"
	+ rb"VALUES"
)
_COLUMN = re.compile(_NAME)
_EXECUTED = re.compile(rb"/\*M?!\d*|\*/")
_BLANK = re.compile(rb"\s*")
_DELIMITER = re.compile(rb"DELIMITER (;+)\s*", re.IGNORECASE)
# A line of the dump program itself, where its standard error went into the same file.
_ERROR_LINE = re.compile(rb"(?:[^\s`'\"]*[/\\])?(?:mysqldump|mariadb-dump)(?:\.exe)?: ", re.IGNORECASE)
_LONGEST_PROGRAM = 200
# Its comments on what it left out, where it was told to go on (--force).
_LEFT_OUT = (b"-- failed on view ", b"-- insufficient privileges to ")
# The setting that lets a connection write rows of former times (--dump-history), and the end of it.
_HISTORY = b"system_versioning_insert_history"
_BANNER = re.compile(rb"^-- (?:MariaDB|MySQL) dump ", re.MULTILINE)
# Statements whose text is kept as somebody typed it.
_TYPED = re.compile(rb"CREATE\b.{0,400}?\b(?:TRIGGER|PROCEDURE|FUNCTION|EVENT)\b", re.DOTALL)
# The first line: a client that knows it takes no commands from the file.
_SANDBOX = re.compile(rb"/\*M?!999999\\- enable the sandbox mode \*/ *\r?")
_SANDBOX_STARTS = (b"/*M!999999\\-", b"/*!999999\\-")
# Rows, without their strings and the words NULL and _binary: numbers, also in hexadecimal, and what is between.
# No word that does anything can be written with these letters, and no call without a second parenthesis.
_NUMBERS_AND_SIGNS = b"0123456789abcdefABCDEFxX.,()+-' \t\r\n"
_NO_PARENTHESIS = bytes(set(range(256)) - set(b"()"))
_WORD_BYTES = bytes(set(range(256)) - set(b"(),' \t\r\n;"))
VALUE_LIMIT = 1024


class SqlScanner:
	"""`feed` it the SQL of a MariaDB dump, then `finish`; the rest is what it found."""

	def __init__(self) -> None:
		# Rows by table, and the names of everything else by kind (“views”, “triggers”, …).
		self.rows: dict[str, int] = {}
		self.objects: dict[str, set[str]] = {}
		# Tables whose rows of former times are among those counted.
		self.historic, self._with_history = set[str](), False
		# In bytes: the server has a limit for it.
		self.longest_statement = self._length = 0
		self._buffer = bytearray()
		# The line of the file, from 1, where the buffer begins; and how much of the buffer holds no end.
		self._line, self._searched = 1, 0
		self._delimiter = b";"
		self._table: str | None = None
		self._in_string = self._in_row = self._closed = False
		# The beginning of a value that goes on in the next piece.
		self._value = b""
		self._made, self._not_filled = set[str](), set[str]()
		# By table, the columns that would be filled from another database if a row left them out.
		self._filled_elsewhere: dict[str, frozenset[str]] = {}

	def feed(self, chunk: bytes) -> None:
		"""Raises `DamagedFile`."""
		self._refuse_nul(chunk)
		self._buffer += chunk
		while self._take():
			pass

	def _refuse_nul(self, chunk: bytes) -> None:
		"""The program writes NUL as an escape, or in hexadecimal; such bytes are what a crash or a bad disk leaves."""
		place = chunk.find(b"\0")
		if place >= 0:
			line = self._line + self._buffer.count(b"\n") + chunk.count(b"\n", 0, place)
			raise DamagedFile(
				"content",
				f"line {line}: NUL bytes stand in it, which no dump program writes: a part of it was lost, as by a full or "
				"failing disk or an interrupted copy",
			)

	def finish(self) -> None:
		"""Say how a dump that was cut off ends. Raises `DamagedFile`."""
		rest = bytes(self._buffer).strip()
		if self._table is None and rest.startswith((b"INSERT", b"REPLACE")) and b";\n" in self._buffer:
			self._refuse(rest, "it can't be understood")
		if self._closed and rest and not rest.startswith(b"--"):
			self._refuse_after_end()
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
			return self._in_string or self._in_row or rest != b";"
		return self._delimiter != b";" or (
			bool(rest) and not rest.startswith(b"--") and not rest.endswith(b";")
		)

	def _take(self) -> bool:
		"""Take one line or statement, or a part of an INSERT, from the buffer; False when more is needed."""
		buffer = self._buffer
		if self._table is not None:
			return self._take_rows()
		self._remove(_BLANK.match(buffer).end())
		if buffer.startswith((b"--", *_SANDBOX_STARTS)):
			return self._take_line()
		if len(buffer) < len(_SANDBOX_STARTS[0]):
			return False
		if buffer[:10].upper() == b"DELIMITER ":
			return self._take_line()
		if _ERROR_LINE.match(buffer[:_LONGEST_PROGRAM]):
			self._refuse_error_line()
		if buffer.startswith((b"INSERT", b"REPLACE")):
			return self._take_insert()
		return self._take_statement()

	def _remove(self, size: int) -> None:
		"""Remove what was read from the buffer."""
		self._line += self._buffer.count(b"\n", 0, size)
		del self._buffer[:size]

	def _take_line(self) -> bool:
		end = self._buffer.find(b"\n")
		if end < 0:
			return False
		line = bytes(self._buffer[:end])
		if line[:10].upper() == b"DELIMITER ":
			found = _DELIMITER.fullmatch(line)
			if not found:
				self._refuse(line, "no dump has such a delimiter")
			self._delimiter = found.group(1)
		elif line.startswith(CLOSING_LINE):
			self._closed = True
		elif line.startswith(_LEFT_OUT):
			self._refuse_gap(line)
		elif line.startswith(_SANDBOX_STARTS) and not _SANDBOX.fullmatch(line):
			self._refuse(line, "it can't be understood")
		self._remove(end + 1)
		return True

	def _refuse_gap(self, line: bytes) -> NoReturn:
		said = _decode(line[3:]).partition(":")[0][:SHOWN_BYTES]
		raise DamagedFile(
			"completeness",
			f"line {self._line}: the program that wrote it says that it left something out ({said}) → mend that, or give the "
			"account its rights, and dump again without --force",
		)

	def _refuse_error_line(self) -> NoReturn:
		said = _decode(bytes(self._buffer).partition(b"\n")[0]).partition("'")[0][:SHOWN_BYTES].strip()
		raise DamagedFile(
			"statements",
			f"line {self._line}: what the program that wrote it said of warnings and errors stands in it ({said}) → keep its "
			"standard error out of the file (no 2>&1), see what it says, and dump again",
		)

	# --- rows ----------------------------------------------------------------------------------

	def _take_insert(self) -> bool:
		header = _INSERT.match(self._buffer)
		if not header:
			if len(self._buffer) < HEADER_LIMIT:
				return False
			self._refuse(bytes(self._buffer), "it can't be understood")
		if header.group(2):
			self._refuse(header.group(), OTHER_DATABASE, OWN_DATABASE)
		self._refuse_after_end()
		table = _decode(header.group(1))
		self._require_fillable(table, header.group())
		columns = set(map(_decode, _COLUMN.findall(header.group(3) or b"")))
		if columns and self._filled_elsewhere.get(table.casefold(), frozenset()) - columns:
			self._refuse(
				header.group(), "a column it leaves out may be filled from another database", OWN_DATABASE
			)
		self._table, self._in_row, self._value, self._length = table, False, b"", header.end()
		self.rows.setdefault(table, 0)
		if self._with_history:
			self.historic.add(table)
		self._remove(header.end())
		return True

	def _require_fillable(self, table: str, statement: bytes) -> None:
		"""Servers may tell names apart by their case or not."""
		if table.casefold() not in self._made:
			self._refuse(statement, "it fills or locks a table that the dump has not made", WITH_TABLES)
		if table.casefold() in self._not_filled:
			self._refuse(statement, "it fills or locks a view, or a table that has a trigger by then")

	def _take_rows(self) -> bool:
		end = self._buffer.find(b";\n")
		size = _whole_escapes(self._buffer) if end < 0 else end
		self._count(bytes(self._buffer[:size]))
		self._length += size
		self.longest_statement = max(self.longest_statement, self._length)
		self._remove(size)
		if end < 0:
			return False
		if self._in_string:
			# That semicolon is a character of the string.
			self._remove(2)
			return True
		self._check_values(b" ")
		if self._in_row:
			self._refuse_rows("a row in it does not end")
		self._remove(2)
		self._table = None
		return True

	def _count(self, text: bytes) -> None:
		"""Outside of strings a row is the only thing that opens a parenthesis."""
		parts = text.replace(b"\\\\", b"").replace(b"\\'", b"").split(b"'")
		outside = b"'".join(parts[1::2] if self._in_string else parts[::2])
		# A string that began before, or ends later, stands beside the values here.
		outside = b"'" * self._in_string + outside
		self._in_string ^= len(parts) % 2 == 0
		if b";" in outside:
			self._refuse(outside[outside.index(b";") :], "it stands in the line of another statement")
		self._check_values(outside + b"'" * self._in_string)
		assert self._table is not None
		self.rows[self._table] += outside.count(b"(")

	def _check_values(self, outside: bytes) -> None:
		"""Rows are values alone, no names, calls or comments; a value that goes on waits for the next piece."""
		text = self._value + outside
		whole = text.rstrip(_WORD_BYTES)
		self._value = text[len(whole) :]
		if self._value.startswith((b"0x", b"0X")) and not self._value[2:].strip(b"0123456789ABCDEFabcdef"):
			self._value = b"0x"
		parentheses = b"(" * self._in_row + outside.translate(None, _NO_PARENTHESIS)
		rest = parentheses.replace(b"()", b"")
		self._in_row = rest == b"("
		if rest not in (b"", b"(") or b"--" in whole or len(self._value) > VALUE_LIMIT:
			self._refuse_rows("something else than plain rows stands in it")
		if whole.replace(b"NULL", b"").replace(b"_binary", b"").translate(None, _NUMBERS_AND_SIGNS):
			self._refuse_rows("something else than plain values stands in its rows")

	def _refuse_rows(self, why: str) -> NoReturn:
		assert self._table is not None
		self._refuse(f"INSERT INTO `{self._table}`".encode(), why)

	# --- statements ----------------------------------------------------------------------------

	def _take_statement(self) -> bool:
		mark = self._delimiter + b"\n"
		end = self._buffer.find(mark, self._searched)
		if end < 0:
			self._searched = max(0, len(self._buffer) - len(mark) + 1)
			return False
		statement = bytes(self._buffer[:end])
		try:
			words = split_words(statement)
			form = self._recognise(words) if words else Form()
		except NotOver:
			self._searched = end + 1
			return True
		except Unclear as error:
			if _BANNER.search(statement):
				why = (
					"another dump begins in the middle of a statement, so the one before it was cut off there"
				)
				raise DamagedFile("closing line", f"line {self._line}: {why}") from None
			is_typed = error.remedy in (AS_WRITTEN, FOR_ALL) and _TYPED.search(_EXECUTED.sub(b"", statement))
			self._refuse(statement, str(error), PLAIN_BODY if is_typed else error.remedy)
		self._note(form, statement)
		self._remove(end + len(mark))
		self._searched = 0
		return True

	def _recognise(self, words: list[Word]) -> Form:
		self._refuse_after_end()
		signs = [word.sign for word in words]
		# The client, and with it the server, take the delimiter for the end wherever it stands.
		if b";" in signs and (self._delimiter == b";" or (b";", b";") in pairwise(signs)):
			raise Unclear(SEVERAL)
		return recognise(words)

	def _note(self, form: Form, statement: bytes) -> None:
		name = form.name.casefold()
		if not form.kind and _HISTORY in statement:
			self._with_history = statement.endswith(b"=1 */")
		if form.kind == "lock":
			self._require_fillable(form.name, statement)
		elif form.kind == "tables":
			self.rows.setdefault(form.name, 0)
			self._made.add(name)
			if form.is_new:
				# What had this name before, with its triggers, is gone, or the server ends the load here.
				self._not_filled.discard(name)
			self._filled_elsewhere[name] = form.filled_elsewhere
		elif form.kind:
			self.objects.setdefault(form.kind, set()).add(form.name)
			if form.kind in ("views", "triggers"):
				self._not_filled.add((form.table or form.name).casefold())

	def _refuse_after_end(self) -> None:
		if self._closed:
			raise DamagedFile("closing line", "more statements follow its closing line “-- Dump completed”")

	def _refuse(self, statement: bytes, why: str, remedy: str = AS_WRITTEN) -> NoReturn:
		# The beginning alone, and no value of it: a dump holds passwords.
		head = re.split(rb"['\"\n(]", _EXECUTED.sub(b"", statement[:SHOWN_BYTES]))[0]
		shown = " ".join(head.decode("utf-8", "replace").split())
		raise DamagedFile(
			"statements", f"line {self._line}: a statement in it is refused, {why}: {shown} → {remedy}"
		)


def _whole_escapes(text: bytearray) -> int:
	"""How much can be read before the rest comes: an escape, and the end of a statement, stay in one piece."""
	size = len(text)
	while size and text[size - 1] in b"\\;":
		size -= 1
	return size


def _decode(name: bytes) -> str:
	return name.replace(b"``", b"`").decode("utf-8", "replace")
