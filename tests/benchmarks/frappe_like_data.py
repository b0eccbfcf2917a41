"""A database like that of a real Frappe site, of any size, made by the server itself in a short time.

About 200 tables with the skew of real sites: a few are large (Version with its JSON, Communication with its
HTML, GL and Stock Ledger Entry with their numbers and indexes), most hold some dozens of rows.

**Invariant:** the same size gives the same tables and the same rows.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from press_deploy.engine.databases.mariadb.server import Server, quote

SEED_ROWS = 2000
SMALL_TABLES, SMALL_ROWS = 190, 120
SEARCH_ROWS = 5000
SEQUENCES = 5
Row = tuple[Any, ...]

_HEAD = (
	"`name` varchar(140) NOT NULL PRIMARY KEY, `creation` datetime(6), `modified` datetime(6), "
	"`modified_by` varchar(140), `owner` varchar(140), `docstatus` int(1) NOT NULL DEFAULT 0, "
	"`idx` int(8) NOT NULL DEFAULT 0, KEY `modified` (`modified`)"
)
_OPTIONS = "ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET=utf8mb4 COLLATE=utf8mb4_unicode_ci"
_LEDGER = (
	"`posting_date` date, `account` varchar(140), `party` varchar(140), `voucher_no` varchar(140), "
	"`cost_center` varchar(140), `debit` decimal(21,9) NOT NULL DEFAULT 0, "
	"`credit` decimal(21,9) NOT NULL DEFAULT 0, `balance` decimal(21,9) NOT NULL DEFAULT 0, "
	"`remarks` text, KEY `posting_date` (`posting_date`), KEY `account` (`account`), "
	"KEY `voucher_no` (`voucher_no`), KEY `party` (`party`)"
)
_TEXT = "`ref_doctype` varchar(140), `docname` varchar(140), `data` longtext, KEY `ref` (`ref_doctype`, `docname`)"


@dataclass(frozen=True)
class Large:
	"""A large table: its name, its share of the whole, its own columns, and what makes a row of them."""

	name: str
	share: float
	columns: str
	make_row: Callable[[random.Random], Row]


def build_database(server: Server, database: str, size: int, directory: Path) -> int:
	"""Fill a new database to about `size` bytes; `directory` is where the server keeps its files.

	Returns the number of tables. Raises `pymysql.Error`.
	"""
	chance = random.Random(4711)
	character_set = "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
	with server.session() as cursor:
		cursor.execute(f"CREATE DATABASE {quote(database)} {character_set}")
		cursor.execute(f"CREATE DATABASE seeds {character_set}")
		# Only while it is filled: what is measured runs as in production.
		cursor.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
		cursor.execute(f"USE {quote(database)}")
		for large in LARGE:
			_fill_large(cursor, chance, large, int(large.share * size), directory)
		_make_small_tables(cursor, chance)
		_make_special_tables(cursor, chance)
		cursor.execute("DROP DATABASE seeds")
		cursor.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
		cursor.execute("SHOW TABLES")
		return len(cursor.fetchall())


def size_of_directory(directory: Path) -> int:
	"""Bytes of the InnoDB files of one database."""
	return sum(file.stat().st_size for file in directory.glob("*.ibd"))


def _fill_large(cursor: Any, chance: random.Random, large: Large, size: int, directory: Path) -> None:
	"""Copies of the seed rows under new names, until the files have grown by `size` bytes."""
	seeds = f"seeds.{quote(large.name)}"
	for table in (seeds, quote(large.name)):
		cursor.execute(f"CREATE TABLE {table} ({_HEAD}, {large.columns}) {_OPTIONS}")
	_insert(
		cursor, seeds, [(*_make_head(chance, number), *large.make_row(chance)) for number in range(SEED_ROWS)]
	)
	cursor.execute(f"SHOW COLUMNS FROM {seeds}")
	rest = ", ".join(quote(row[0]) for row in cursor.fetchall()[1:])
	copy = f"INSERT INTO {quote(large.name)} SELECT CONCAT(%s, '-', name), {rest} FROM {seeds}"
	wanted, batch = size_of_directory(directory) + size, 0
	while size_of_directory(directory) < wanted:
		cursor.execute(copy, (f"{batch:06d}",))
		batch += 1


def _make_small_tables(cursor: Any, chance: random.Random) -> None:
	for number in range(SMALL_TABLES):
		table = quote(f"tabSmall DocType {number}")
		cursor.execute(f"CREATE TABLE {table} ({_HEAD}, {_TEXT}) {_OPTIONS}")
		rows = [(*_make_head(chance, row), *_make_note(chance)) for row in range(SMALL_ROWS)]
		_insert(cursor, table, rows)


def _make_special_tables(cursor: Any, chance: random.Random) -> None:
	"""What Frappe has beside DocTypes: the search index, passwords, single values, sequences."""
	cursor.execute(
		"CREATE TABLE __global_search (doctype varchar(100), name varchar(140), title varchar(140), "
		"content text, FULLTEXT (content), route varchar(140), published int(1) NOT NULL DEFAULT 0, "
		f"UNIQUE doctype_name (doctype, name)) {_OPTIONS}"
	)
	_insert(
		cursor,
		"__global_search",
		[
			("Sales Invoice", _name(row), _say(chance, 4), _say(chance, 20), None, 0)
			for row in range(SEARCH_ROWS)
		],
	)
	cursor.execute(
		"CREATE TABLE __Auth (doctype varchar(140), name varchar(255), fieldname varchar(140), "
		f"password text NOT NULL, encrypted int(1) NOT NULL DEFAULT 0, PRIMARY KEY (doctype, name, fieldname)) {_OPTIONS}"
	)
	_insert(cursor, "__Auth", [("User", _name(row), "password", "$pbkdf2$x", 0) for row in range(50)])
	cursor.execute(
		f"CREATE TABLE tabSingles (doctype varchar(255), field varchar(255), value longtext, KEY (doctype, field)) {_OPTIONS}"
	)
	_insert(cursor, "tabSingles", [(_word(chance), _word(chance), _say(chance, 2)) for _ in range(500)])
	for number in range(SEQUENCES):
		cursor.execute(f"CREATE SEQUENCE log_{number}_id_seq CACHE 1000")
		cursor.execute(f"SELECT NEXTVAL(log_{number}_id_seq)")


def _insert(cursor: Any, table: str, rows: list[Row]) -> None:
	cursor.executemany(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(rows[0]))})", rows)


def _make_head(chance: random.Random, number: int) -> Row:
	moment = f"2025-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d} 10:{chance.randint(0, 59):02d}:00.123456"
	who = f"{chance.choice(_WORDS)}@example.com"
	return _name(number), moment, moment, who, who, chance.randint(0, 1), number % 40


def _make_version(chance: random.Random) -> Row:
	changed = [[_word(chance), _say(chance, 3), _say(chance, 3)] for _ in range(chance.randint(2, 12))]
	data = {"added": [], "changed": changed, "data_import": None, "removed": [], "row_changed": []}
	return "Sales Invoice", _document(chance), json.dumps(data, indent=1)


def _make_communication(chance: random.Random) -> Row:
	paragraphs = (f"<p>{_say(chance, chance.randint(10, 60))}</p>" for _ in range(chance.randint(1, 8)))
	return "Issue", _document(chance), f'<div class="ql-editor read-mode">{"".join(paragraphs)}</div>'


def _make_note(chance: random.Random) -> Row:
	return chance.choice(("Item", "Customer", "Task")), _document(chance), _say(chance, chance.randint(3, 40))


def _make_entry(chance: random.Random) -> Row:
	amount = f"{chance.uniform(1, 90000):.2f}"
	debit, credit = (amount, "0") if chance.random() < 0.5 else ("0", amount)
	date = f"2025-{chance.randint(1, 12):02d}-{chance.randint(1, 28):02d}"
	account, party = f"{chance.choice(_WORDS[:80])} - C", f"CUST-{chance.randint(1, 3000):05d}"
	return (
		*(date, account, party, _document(chance), "Main - C", debit, credit),
		*(f"{chance.uniform(1, 9e6):.4f}", "No Remarks" if chance.random() < 0.7 else _say(chance, 8)),
	)


def _name(number: int) -> str:
	return f"{number:010x}"


def _document(chance: random.Random) -> str:
	return f"SINV-25-{chance.randint(1, 99999):05d}"


def _say(chance: random.Random, words: int) -> str:
	return " ".join(chance.choices(_WORDS, _WEIGHTS, k=words))


def _word(chance: random.Random) -> str:
	return chance.choice(_WORDS)


def _make_words() -> list[str]:
	chance = random.Random(42)
	return ["".join(chance.choices("etaoinshrdlucmfwypvbgk", k=chance.randint(2, 11))) for _ in range(4000)]


_WORDS = _make_words()
# As in a language: some words are everywhere, most are rare.
_WEIGHTS = [1 / (rank + 10) for rank in range(len(_WORDS))]
LARGE = (
	Large("tabVersion", 0.28, _TEXT, _make_version),
	Large("tabCommunication", 0.22, _TEXT, _make_communication),
	Large("tabGL Entry", 0.25, _LEDGER, _make_entry),
	Large("tabStock Ledger Entry", 0.15, _LEDGER, _make_entry),
	Large("tabComment", 0.06, _TEXT, _make_note),
)
