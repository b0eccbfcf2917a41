"""The lost documents as files, so that people can enter or import them again.

Invariant: a file has its name only when it is whole and on the disk, it is its owner's alone, and no cell
of a table is a formula to the program that opens it.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from press_deploy.engine import durable
from press_deploy.engine.errors import StepFailed
from press_deploy.engine.losses.finding import compare
from press_deploy.engine.losses.model import Losses
from press_deploy.engine.losses.reader import Reader
from press_deploy.engine.losses.rows import Document, Rows

EXPORT_SCHEMA_VERSION = 1
JSON_NAME, SINGLES_NAME = "losses.json", "settings.csv"
FILE_NAME_LENGTH = 50
# OWASP, “CSV Injection”: a cell that begins so is a formula.
FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_UNSAFE = re.compile(r"[^\w \-]")


def export(losses: Losses, reader: Reader, before: str, after: str, directory: Path) -> list[Path]:
	"""Write `losses.json`, one CSV for each DocType and one for settings into `directory`; return the paths.

	`losses` is the list that was approved: it and the present one stand in the file with their hashes, as
	the site may have been written to in between. A repeated call writes the files anew. Raises `StepFailed`.
	"""
	comparison = compare(reader, before, after)
	present, rows = comparison.summarise(), Rows(comparison)
	with _translated(directory):
		directory.mkdir(mode=0o700, parents=True, exist_ok=True)
		paths = []
		with _open_whole(directory / JSON_NAME) as output:
			output.write(_head(losses, present))
			separator = "\n"
			for doctype, actions in present.documents.items():
				paths.append(directory / name_file(doctype))
				with _open_whole(paths[-1]) as table:
					writer = _DocumentTable(table, rows.columns(doctype))
					for action in actions:
						for document in rows.documents(doctype, action):
							writer.write(document)
							output.write(separator + _dump(_as_data(document)))
							separator = ",\n"
			settings = [rows.single(doctype) for doctype in present.singles]
			output.write(f'\n],\n"singles": {_dump([_as_data(single) for single in settings])},\n')
			output.write(f'"left_out": {_dump(sorted(rows.left_out))}\n}}\n')
		if settings:
			paths.append(directory / SINGLES_NAME)
			_write_settings(paths[-1], settings)
	return sorted([*paths, directory / JSON_NAME])


def name_file(doctype: str) -> str:
	"""The file of a DocType: another one for each, whatever its name holds."""
	name = _UNSAFE.sub("_", doctype)[:FILE_NAME_LENGTH]
	if name != doctype or f"{name}.csv" == SINGLES_NAME:
		name += "-" + hashlib.sha256(doctype.encode()).hexdigest()[:8]
	return f"{name}.csv"


def as_cell(value: Any) -> Any:
	"""A value as it may stand in a spreadsheet: text that would be taken for a formula gets a quote before it."""
	if isinstance(value, str) and value.startswith(FORMULA_BEGINNINGS) and not _is_number(value):
		return f"'{value}"
	return value


class _DocumentTable:
	"""A CSV of documents, what happened to each in its first column."""

	def __init__(self, output: IO[str], columns: list[str]):
		self._columns, self._writer = columns, csv.writer(output)
		# A DocType may have a field of that name itself.
		self._writer.writerow(["what happened" if "action" in columns else "action", *map(as_cell, columns)])

	def write(self, document: Document) -> None:
		values = (as_cell(document.row.get(column)) for column in self._columns)
		self._writer.writerow([document.action, *values])


def _write_settings(path: Path, settings: Iterable[Document]) -> None:
	with _open_whole(path) as output:
		writer = csv.writer(output)
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
	return (
		"{\n" + "".join(f"{_dump(key)}: {_dump(value)},\n" for key, value in parts.items()) + '"documents": ['
	)


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
		remedy = "see whether this user may write there, then export again"
		if error.errno in (errno.ENOSPC, errno.EDQUOT):
			remedy = "free space there, then export again: the quarantined database still has everything"
		raise StepFailed(
			"Exporting what was lost to",
			str(error.filename or directory),
			error.strerror or str(error),
			remedy,
		) from error
