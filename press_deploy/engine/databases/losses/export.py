"""What was lost as files, so that people can enter or import it again.

Invariant: a file has its name only when it is whole and on the disk, it is its owner's alone, and no cell
of a table is a formula to the program that opens it. What is listed is in them, or among `Exported.left_out`.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path
from typing import IO, Any, NamedTuple

from press_deploy.engine.databases.losses.concealing import Concealing
from press_deploy.engine.databases.losses.finding import compare
from press_deploy.engine.databases.losses.model import Losses
from press_deploy.engine.databases.losses.other_rows import read_filled_columns, read_other_rows
from press_deploy.engine.databases.losses.reader import Reader
from press_deploy.engine.databases.losses.rows import Document, Rows
from press_deploy.engine.ground import durable
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.remedies import see_disk

EXPORT_SCHEMA_VERSION = 1
JSON_NAME, SINGLES_NAME = "losses.json", "settings.csv"
FILE_NAME_LENGTH = 50
# OWASP, “CSV Injection”: a cell that begins so is a formula. Where a semicolon or a tab separates cells, as in
# much of Europe, one begins in the middle of ours.
_FORMULA = re.compile(r"^(?=[=+\-@＝＋－＠\t\r\n])|(?<=[;\t\r\n])(?=[=+\-@＝＋－＠])")
_UNSAFE = re.compile(r"[^\w \-]")
Add = Callable[[dict[str, Any]], object]


class Exported(NamedTuple):
	"""The paths of the files, and what is not in them though it was listed: secrets, as “table.column”."""

	files: list[Path]
	left_out: list[str]


def export(losses: Losses, reader: Reader, before: str, after: str, directory: Path) -> Exported:
	"""Write `losses.json`, one CSV for each DocType and one for settings into `directory`.

	`losses` is the list that was approved: it and the present one stand in the file with their hashes, as
	the site may have been written to in between. Rows of tables without documents are in `losses.json` alone.
	A repeated call writes the files anew. Raises `StepFailed`.
	"""
	comparison, concealing = compare(reader, before, after), Concealing()
	present, rows = comparison.summarise(), Rows(comparison, concealing)
	with _translated(directory):
		directory.mkdir(mode=0o700, parents=True, exist_ok=True)
		paths = []
		with _open_whole(directory / JSON_NAME) as output:
			output.write(_head(losses, present))
			with _open_list(output, "documents") as add:
				for doctype, actions in present.documents.items():
					paths.append(directory / name_file(doctype))
					_write_documents(paths[-1], doctype, actions, rows, add)
			settings = [rows.single(doctype) for doctype in present.singles]
			lists = {
				"singles": map(_as_data, settings),
				"other_rows": read_other_rows(comparison, concealing),
				"filled_columns": read_filled_columns(comparison, concealing),
			}
			for name, entries in lists.items():
				with _open_list(output, name) as add:
					for entry in entries:
						add(entry)
			left_out = sorted(concealing.left_out)
			output.write(f'"left_out": {_dump(left_out)}\n}}\n')
		if settings:
			paths.append(directory / SINGLES_NAME)
			_write_settings(paths[-1], settings)
	return Exported(sorted([*paths, directory / JSON_NAME]), left_out)


def name_file(doctype: str) -> str:
	"""The file of a DocType: another one for each, whatever its name holds."""
	name = _UNSAFE.sub("_", doctype)[:FILE_NAME_LENGTH]
	if name != doctype or f"{name}.csv" == SINGLES_NAME:
		name += "-" + hashlib.sha256(doctype.encode()).hexdigest()[:8]
	return f"{name}.csv"


def as_cell(value: Any) -> Any:
	"""A value as it may stand in a spreadsheet: what would be taken for a formula gets a quote before it."""
	if isinstance(value, str) and not _is_number(value):
		return _FORMULA.sub("'", value)
	return value


class _DocumentTable:
	"""A CSV of documents, what happened to each in its first column."""

	def __init__(self, output: IO[str], columns: list[str]):
		self._columns, self._writer = columns, csv.writer(output, quoting=csv.QUOTE_ALL)
		# A DocType may have a field of that name itself.
		self._writer.writerow(["what happened" if "action" in columns else "action", *map(as_cell, columns)])

	def write(self, document: Document) -> None:
		values = (as_cell(document.row.get(column)) for column in self._columns)
		self._writer.writerow([document.action, *values])


def _write_documents(path: Path, doctype: str, actions: Iterable[str], rows: Rows, add: Add) -> None:
	with _open_whole(path) as output:
		table = _DocumentTable(output, rows.columns(doctype))
		for action in actions:
			for document in rows.documents(doctype, action):
				table.write(document)
				add(_as_data(document))


@contextmanager
def _open_list(output: IO[str], name: str) -> Iterator[Add]:
	"""A list in the file, of one entry after the other: together they may be larger than memory."""
	output.write(f"{_dump(name)}: [")
	separators = chain(["\n"], repeat(",\n"))
	yield lambda entry: output.write(next(separators) + _dump(entry))
	output.write("\n],\n")


def _write_settings(path: Path, settings: Iterable[Document]) -> None:
	with _open_whole(path) as output:
		writer = csv.writer(output, quoting=csv.QUOTE_ALL)
		writer.writerow(["action", "doctype", "field", "value"])
		for single in settings:
			for name, value in single.row.items():
				writer.writerow([single.action, *map(as_cell, (single.doctype, name, value))])


def _head(approved: Losses, present: Losses) -> str:
	parts = {
		"schema_version": EXPORT_SCHEMA_VERSION,
		"approved_sha256": approved.sha256,
		"sha256": present.sha256,
		"losses": present.as_data(),
	}
	return "{\n" + "".join(f"{_dump(key)}: {_dump(value)},\n" for key, value in parts.items())


def _as_data(document: Document) -> dict[str, Any]:
	data = {
		"doctype": document.doctype,
		"name": document.name,
		"action": document.action,
		"row": document.row,
	}
	return data | ({"children": document.children} if document.children else {})


def _dump(data: Any) -> str:
	return json.dumps(data, ensure_ascii=False, allow_nan=False)


def _is_number(value: str) -> bool:
	"""Decimals come as text; -12.50 is no formula, and as text it could not be imported."""
	return bool(re.fullmatch(r"-[0-9]+(\.[0-9]+)?", value, re.ASCII))


@contextmanager
def _open_whole(path: Path) -> Iterator[IO[str]]:
	"""A text file that gets its name when it was written to its end."""
	part = path.with_name(f".{path.name}.part")
	# What a killed run left there; whoever else made it, nothing is written through it.
	part.unlink(missing_ok=True)
	descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
	try:
		with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="") as output:
			yield output
			output.flush()
			os.fsync(output.fileno())
		os.replace(part, path)
	except BaseException:
		part.unlink(missing_ok=True)
		raise
	durable.sync_directory(path.parent)


@contextmanager
def _translated(directory: Path) -> Iterator[None]:
	try:
		yield
	except OSError as error:
		remedy = f"{see_disk(directory)}, then export again"
		if error.errno in (errno.ENOSPC, errno.EDQUOT):
			remedy = "free space there, then export again: the quarantined database still has everything"
		raise StepFailed(
			"Exporting what was lost to",
			str(error.filename or directory),
			error.strerror or str(error),
			remedy,
		) from error
