"""The statements that a dump of one database consists of: exactly the forms that dump programs write.

They are those of mariadb-dump 10.3 to 11 and mysqldump 5.7 and 8 (client/mysqldump.cc), which Frappe calls too.

Invariant: a statement that has none of these forms is refused, and so is one that could reach outside of its own
database, fire a trigger or call a routine. Only the definitions of views and the bodies of triggers, routines
and events, which loading does not execute, may name other databases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from press_deploy.engine.databases.mariadb.sql.body import check_body
from press_deploy.engine.databases.mariadb.sql.refusals import (
	ONE_DATABASE,
	OWN_DATABASE,
	PLAIN_BODY,
	PLAIN_SESSION,
	PRESENT_COLLATION,
	UNREPLICATED,
	UTF8_SESSION,
	Unclear,
)
from press_deploy.engine.databases.mariadb.sql.words import NAME, NUMBER, STRING, VARIABLE, Word, shape_of

OTHER_DATABASE = "it names another database"
LEAVES = "loading it would leave its own database, and might change another"
UNKNOWN = "no dump of one database holds such a statement"
REPLICATES = "it sets up the replication of the server, which is no part of one database"
SEVERAL = "more than one statement stands in one line"

_PLAIN = re.compile(
	rb"DROP (?:TABLE|VIEW|SEQUENCE|TRIGGER|PROCEDURE|FUNCTION|EVENT) (?:IF EXISTS )?`"
	rb"|(?P<lock>LOCK TABLES) ` WRITE|UNLOCK TABLES|ALTER TABLE ` (?:DIS|EN)ABLE KEYS"
	rb"|ANALYZE TABLE ` UPDATE HISTOGRAM ON `(?: , `)* WITH 0 BUCKETS(?: (?:AUTO|MANUAL) UPDATE)?"
	rb"|(?:DO|SELECT) SETVAL \( ` , (?:- )?0 , 0 \)|COMMIT|START TRANSACTION"
)
_LEAVING = re.compile(rb"USE\b|(?:CREATE|DROP|ALTER) (?:OR REPLACE )?(?:DATABASE|SCHEMA)\b")
_REPLICATION = re.compile(rb"CHANGE (?:MASTER|REPLICATION)|(?:START|STOP) (?:ALL )?(?:SLAVES?|REPLICAS?)\b")
_REPLICATION_SETTINGS = {"sql_log_bin", "gtid_slave_pos", "global.gtid_purged"}
# The collation that a trigger, routine or event was made under, before it and behind it.
_OF_COLLATION = re.compile(rb"ALTER DATABASE ` (?:CHARACTER SET|COLLATE)\b")
_ABOUT_ONE = re.compile(rb"(?:CREATE|DROP|ALTER|LOCK|DO|SELECT)\b")
_QUALIFIED = re.compile(rb"(?:^| )\. ")
_DEFINER = rb"(?:DEFINER = `(?: @ `)? )?"
_ANY_NAME = rb"(?P<name>`|[\w$\x80-\xff]+)"
_TABLE = re.compile(rb"CREATE TABLE (?:IF NOT EXISTS )?(?P<name>`) \( (?P<rest>.*)", re.DOTALL)
_VIEW = re.compile(
	rb"CREATE (?:OR REPLACE )?(?:ALGORITHM = (?:UNDEFINED|MERGE|TEMPTABLE) )?" + _DEFINER
	+ rb"(?:SQL SECURITY (?:DEFINER|INVOKER) )?VIEW (?:IF NOT EXISTS )?(?P<name>`) (?:\( `(?: , `)* \) )?"
	rb"AS (?:SELECT|WITH|VALUES|\() .*",
	re.DOTALL,
)  # fmt: skip
_SEQUENCE = re.compile(
	rb"CREATE SEQUENCE (?:IF NOT EXISTS )?(?P<name>`)(?: (?:AS [A-Z]+ \( 0 \)|COMMENT = '|[A-Z]+|0|-|=))*"
)
_ROUTINE = re.compile(
	rb"CREATE (?:OR REPLACE )?" + _DEFINER + rb"(?:AGGREGATE )?(?P<kind>PROCEDURE|FUNCTION) "
	rb"(?:IF NOT EXISTS )?(?P<name>`) (?=\()"
)  # fmt: skip
_RETURNS = re.compile(
	rb"RETURNS [A-Z]\w*(?: PRECISION| VARYING)?(?: \( (?:0|')(?: , (?:0|'))* \))?"
	rb"(?: (?:SIGNED|UNSIGNED|ZEROFILL|BINARY|(?:CHARSET|CHARACTER SET|COLLATE) (?:\w+|')))* "
)
_CHARACTERISTICS = re.compile(
	rb"(?:(?:LANGUAGE SQL|(?:NOT )?DETERMINISTIC|CONTAINS SQL|NO SQL|READS SQL DATA|MODIFIES SQL DATA"
	rb"|SQL SECURITY (?:DEFINER|INVOKER)|COMMENT ') )*"
)
_ACTION = rb"(?:INSERT|DELETE|UPDATE(?: OF (?:`|\w+)(?: , (?:`|\w+))*)?)"
# Its statement is kept as it was typed, with names that may stand without quotes.
_TRIGGER = re.compile(
	rb"CREATE (?:OR REPLACE )?" + _DEFINER + rb"TRIGGER (?:IF NOT EXISTS )?" + _ANY_NAME
	+ rb"(?P<away> \. (?:`|[\w$\x80-\xff]+))? (?:BEFORE|AFTER) "
	+ _ACTION + rb"(?: OR " + _ACTION + rb")* ON (?P<table>`|[\w$\x80-\xff]+)(?P<elsewhere> \. (?:`|[\w$\x80-\xff]+))? FOR EACH ROW "
	rb"(?:(?:FOLLOWS|PRECEDES) (?:`|[\w$\x80-\xff]+) )?"
)  # fmt: skip
_EVENT = re.compile(
	rb"CREATE (?:OR REPLACE )?" + _DEFINER + rb"EVENT (?:IF NOT EXISTS )?(?P<name>`) ON SCHEDULE "
	rb"(?:AT '|EVERY (?:0|') [A-Z_]+(?: STARTS ')?(?: ENDS ')?) (?:ON COMPLETION (?:NOT )?PRESERVE )?"
	rb"(?:(?:ENABLE|DISABLE)(?: ON (?:SLAVE|REPLICA))? )?(?:COMMENT ' )?DO "
)  # fmt: skip
# Tables of other engines are files of their own somewhere, or tables of other databases and servers.
_ENGINES = {b"INNODB", b"MYISAM", b"ARIA", b"MEMORY", b"ARCHIVE", b"CSV", b"ROCKSDB", b"TOKUDB", b"MROONGA"}
_MERGED = {b"MERGE", b"MRG_MYISAM"}
# Other tables, a directory that it names, another server.
_ELSEWHERE = {b"UNION", b"CONNECTION", b"DIRECTORY", b"SONAME", b"WRAPPER"}
AGAIN = "then back up again"
_SEQUENCE_ELSEWHERE = re.compile(rb"NEXTVAL \( ` \. ` \)")
_VALUES = re.compile(rb"\bVALUES (?!LESS THAN |IN )")

# Character sets in which a byte below 128 is always that character. In others one may be part of another
# character, a quote or a backslash too: then the server would see other words.
_CHARACTER_SETS = set(
	"utf8 utf8mb3 utf8mb4 binary ascii latin1 latin2 latin5 latin7 cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 "
	"koi8r koi8u hebrew greek tis620 armscii8 geostd8 macce macroman keybcs2 dec8 hp8".split()
)
# Modes that change how words are told apart: quotes, and backslashes in strings.
_MODES_OF_WORDS = re.compile(
	r"ANSI|NO_BACKSLASH_ESCAPES|ORACLE|MSSQL|DB2|MAXDB|POSTGRESQL|MYSQL|[^A-Z0-9_, ]|(?:^|,) *\d"
)
_SETTINGS = set(
	"sql_mode character_set_client character_set_results collation_connection time_zone unique_checks "
	"foreign_key_checks check_constraint_checks sql_notes note_verbosity autocommit "
	"system_versioning_insert_history".split()
)
_NAMES = re.compile(rb"NAMES (?:'|\w+)(?: COLLATE (?:'|\w+))?")
_ENCODINGS = ("character_set_client", "character_set_results")


@dataclass(frozen=True)
class Form:
	"""What a statement is: it makes a `kind` of this name, or locks one, or is anything else (kind empty)."""

	kind: str = ""
	name: str = ""
	# Of a trigger, the table it stands on.
	table: str = ""
	# Columns whose default is a sequence: mariadb-dump names it with its database, which is not the one loaded.
	filled_elsewhere: frozenset[str] = frozenset()
	# Of a table: the server refuses to make it where another one, or a view, has the name by then.
	is_new: bool = False


def recognise(words: list[Word]) -> Form:
	"""What a statement is. Raises `Unclear`, which says why it is refused."""
	shape = shape_of(words)
	if _LEAVING.match(shape):
		raise Unclear(LEAVES, PRESENT_COLLATION if _OF_COLLATION.match(shape) else ONE_DATABASE)
	if _REPLICATION.match(shape):
		raise Unclear(REPLICATES, UNREPLICATED)
	found = _recognise_routine(words, shape)
	if found:
		return found
	if b";" in shape.split(b" "):
		raise Unclear(SEVERAL)
	plain = _PLAIN.fullmatch(shape)
	if plain:
		return Form("lock", words[2].name) if plain.group("lock") else Form()
	if words[0].sign == b"SET":
		_check_settings(words[1:])
		return Form()
	for kind, pattern in (("views", _VIEW), ("sequences", _SEQUENCE)):
		if found := pattern.fullmatch(shape):
			if kind == "sequences":
				_check_engines(words)
			return Form(kind, _named(words, found).name)
	if found := _TABLE.fullmatch(shape):
		return _recognise_table(words, found)
	if _ABOUT_ONE.match(shape) and _QUALIFIED.search(shape):
		raise Unclear(OTHER_DATABASE, OWN_DATABASE)
	raise Unclear(UNKNOWN)


def _recognise_routine(words: list[Word], shape: bytes) -> Form | None:
	if found := _TRIGGER.match(shape):
		if found.group("away") or found.group("elsewhere"):
			raise Unclear(OTHER_DATABASE, OWN_DATABASE)
		check_body(words[_count(shape, found.end()) :])
		table = words[_count(shape, found.start("table"))].name
		return Form("triggers", _named(words, found).name, table)
	if found := _EVENT.match(shape):
		check_body(words[_count(shape, found.end()) :])
		return Form("events", _named(words, found).name)
	if found := _ROUTINE.match(shape):
		kind = found.group("kind").decode().lower()
		check_body(words[_find_body(words, shape, found) :])
		return Form(f"{kind}s", _named(words, found).name)
	return None


def _find_body(words: list[Word], shape: bytes, found: re.Match[bytes]) -> int:
	"""The place of the first word of a routine's body: behind its parameters, type and characteristics."""
	place = _count(shape, found.end())
	depth = 0
	while place < len(words):
		depth += (words[place].sign == b"(") - (words[place].sign == b")")
		if words[place].sign == b";":
			raise Unclear(SEVERAL)
		place += 1
		if not depth:
			break
	rest = shape_of(words[place:])
	returns = _RETURNS.match(rest) if found.group("kind") == b"FUNCTION" else None
	if found.group("kind") == b"FUNCTION" and not returns:
		raise Unclear("what it returns can't be understood", PLAIN_BODY)
	begin = returns.end() if returns else 0
	end = _CHARACTERISTICS.match(rest, begin).end()  # type: ignore[union-attr]
	return place + _count(rest, end)


def _recognise_table(words: list[Word], found: re.Match[bytes]) -> Form:
	rest = found.group("rest")
	# Nothing else in a table names a database, unless it is another one.
	if _QUALIFIED.search(_SEQUENCE_ELSEWHERE.sub(b"", rest)):
		raise Unclear(OTHER_DATABASE, OWN_DATABASE)
	_check_engines(words)
	strange = _ELSEWHERE.intersection(rest.split(b" "))
	if strange:
		word = min(strange).decode()
		raise Unclear(
			f"a table with {word} keeps its rows elsewhere", f"make it a table without {word}; {AGAIN}"
		)
	query = "SELECT" if b"SELECT" in rest.split(b" ") else "VALUES" if _VALUES.search(rest) else ""
	if query:
		raise Unclear(f"a table with {query} is filled by a query")
	name, is_new = _named(words, found).name, not found.string.startswith(b"CREATE TABLE IF NOT EXISTS ")
	return Form("tables", name, filled_elsewhere=_find_filled_elsewhere(words), is_new=is_new)


def _find_filled_elsewhere(words: list[Word]) -> frozenset[str]:
	columns, column = set(), ""
	for before, word in pairwise(words):
		if word.sign == NAME and before.sign in (b"(", b","):
			column = word.name
		elif (before.sign, word.sign) == (b"DEFAULT", b"NEXTVAL"):
			columns.add(column)
	return frozenset(columns)


def _check_engines(words: list[Word]) -> None:
	for place, word in enumerate(words):
		if word.sign != b"ENGINE":
			continue
		sign, value = [each.sign for each in (*words[place + 1 : place + 3], Word(b"", b""), Word(b"", b""))][
			:2
		]
		if sign == b"=" and value in _ENGINES:
			continue
		engine = value.decode("utf-8", "replace")
		if value in _MERGED:
			raise Unclear(
				f"a table of engine {engine} holds no rows of its own: it shows those of other tables, and loading one "
				"may write into them",
				f"replace it by a view of these tables, {AGAIN}",
			)
		raise Unclear(
			f"a table of engine {engine} may be kept elsewhere",
			f"make it an InnoDB table: ALTER TABLE … ENGINE=InnoDB, {AGAIN}",
		)


def _check_settings(words: list[Word]) -> None:
	"""`SET NAMES …`, and assignments to settings of this connection that a dump needs."""
	if _NAMES.fullmatch(shape_of(words)):
		_check_value("character_set_client", words[1])
		return
	if any(_setting(word) in _REPLICATION_SETTINGS for word in words):
		raise Unclear(REPLICATES, UNREPLICATED)
	assignment: list[Word] = []
	for word in (*words, Word(b",", b",")):
		if word.sign != b",":
			assignment.append(word)
			continue
		_check_assignment(assignment)
		assignment = []


def _check_assignment(words: list[Word]) -> None:
	if len(words) > 1 and words[0].sign in (b"SESSION", b"LOCAL"):
		words = words[1:]
	if len(words) != 3 or words[1].sign != b"=":
		raise Unclear(UNKNOWN)
	target, value = words[0], words[2]
	if target.sign == VARIABLE and not target.text.startswith(b"@@"):
		# Only what is kept for later.
		if value.sign != VARIABLE or not value.text.startswith(b"@@") or _setting(value) not in _SETTINGS:
			raise Unclear(UNKNOWN)
		return
	if _setting(target) not in _SETTINGS:
		raise Unclear(UNKNOWN)
	_check_value(_setting(target), value)


def _setting(word: Word) -> str:
	return re.sub(r"^@@(?:(?:session|local)\.)?", "", word.text.decode("utf-8", "replace").lower())


def _check_value(setting: str, value: Word) -> None:
	if value.sign == VARIABLE and not value.text.startswith(b"@@"):
		return
	text = value.text.strip(b"'\"").decode("utf-8", "replace")
	if value.sign not in (STRING, NUMBER) and not value.sign[:1].isalpha():
		raise Unclear(UNKNOWN)
	if setting in _ENCODINGS and text.lower() not in _CHARACTER_SETS:
		raise Unclear(f"with character set {text[:40]} it can't be understood reliably", UTF8_SESSION)
	if setting == "sql_mode" and _MODES_OF_WORDS.search(text.upper()):
		raise Unclear("with this sql_mode it can't be understood reliably", PLAIN_SESSION)


def _named(words: list[Word], found: re.Match[bytes]) -> Word:
	return words[_count(found.string, found.start("name"))]


def _count(shape: bytes, end: int) -> int:
	"""How many words stand before a place in the shape."""
	return shape.count(b" ", 0, end)
