"""`press-deploy prove`: how far can one dump file be trusted? Needs no site and no Frappe."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from press_deploy.engine.backup.proving import FileProof, prove_file
from press_deploy.engine.backup.rungs import Rung
from press_deploy.engine.databases.dumps.dump_file import DamagedFile
from press_deploy.engine.databases.dumps.heads import read_head
from press_deploy.engine.databases.engine import SERVER, Place
from press_deploy.engine.databases.engines import find_engine_of_dump, format_of, parse_address
from press_deploy.engine.ground.errors import InputError, encodable
from press_deploy.engine.ground.progress import ProgressMeter, show_size

NOT_REACHED, BAD_USAGE = 1, 2
URL_VARIABLE = "PRESS_DEPLOY_DATABASE_URL"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
	"--rung",
	type=click.Choice(["2", "4"]),
	default="2",
	show_default=True,
	help="What to prove: 2, the file is whole; 4, it can be restored.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
	"--database-url",
	help="The MariaDB server to restore into, as an account that may create databases: "
	"mysql://USER:PASSWORD@HOST:PORT/ or mysql://USER@/?socket=PATH. A database of its own is made there and "
	f"dropped again. Others see the arguments of a program: better put it into ${URL_VARIABLE}.",
)
def prove(file: Path, rung: str, as_json: bool, database_url: str | None) -> None:
	"""Prove the dump FILE (.sql, .sql.gz, .sql.zst, SQLite), and say how far it can be trusted.

	Exits with 0 only when the rung asked for is reached, with 1 when it is not (there is no such file, too), with 2
	on bad usage.
	"""
	# Taken out of the environment, so that no program that is started inherits the password.
	url = database_url or os.environ.pop(URL_VARIABLE, None)
	os.environ.pop(URL_VARIABLE, None)
	wanted = Rung(int(rung))
	try:
		place = _find_place(file, url) if wanted >= Rung.RESTORABLE else None
		meter = None if as_json else _make_meter()
		proven = prove_file(file, wanted, place, progress=meter)
	except InputError as error:
		click.echo(_as_json(error.as_data()) if as_json else str(error), err=not as_json)
		sys.exit(BAD_USAGE)
	if meter:
		_show_line("")
	click.echo(_as_json(proven.as_data()) if as_json else encodable(describe(proven)))
	sys.exit(0 if proven.is_enough else NOT_REACHED)


def describe(proven: FileProof) -> str:
	"""What was proven, as lines for a person."""
	lines = [f"{proven.path}: {_describe_file(proven)}"]
	for rung in list(Rung)[1 : proven.wanted + 1]:
		lines.append(f" {_describe_rung(proven, rung)}")
	lines += [f" note: {note}" for note in proven.notes]
	lines.append(f"reached: rung {int(proven.reached)} ({proven.reached.words}): {proven.reached.meaning}")
	if not proven.is_enough:
		lines.append(f"asked for: rung {int(proven.wanted)} ({proven.wanted.words})")
		lines.append(f"  → {_advise(proven)}")
	return "\n".join(lines)


def _advise(proven: FileProof) -> str:
	entry = proven.proof.rungs.get(str(int(Rung.RESTORABLE)))
	if entry and entry.get("check") == SERVER:
		return "nothing is known against the file: mend what is said of the server, then prove it again"
	return "do not rely on this file: take another backup, or mend what is said above"


def _describe_file(proven: FileProof) -> str:
	facts = proven.facts
	if facts is None:
		return (
			show_size(proven.path.stat().st_size)
			if os.path.isfile(proven.path)
			else "no file that can be read"
		)
	parts = [f"{format_of(facts.kind).TITLE} dump"]
	if facts.database:
		parts[0] += f" of database {facts.database}"
	if facts.server_version:
		parts.append(f"by server {facts.server_version}")
	if facts.frappe_version:
		parts.append(f"by Frappe {facts.frappe_version}")
	packing = f"{facts.compression}, " if facts.compression else ""
	return f"{', '.join(parts)} ({packing}{show_size(facts.bytes)}, {show_size(facts.read_bytes)} unpacked)"


def _describe_rung(proven: FileProof, rung: Rung) -> str:
	title = f"rung {int(rung)} ({rung.words})"
	entry = proven.proof.rungs.get(str(int(rung)))
	if rung in proven.proof.not_asked:
		return f"– {title}: not asked of a single file"
	if entry is None:
		return f"– {title}: not tried"
	if not entry["passed"]:
		return f"✗ {title}: {entry['check']}: {entry['why']}"
	return f"✓ {title}: {_describe_facts(proven, rung)}"


def _describe_facts(proven: FileProof, rung: Rung) -> str:
	if rung is Rung.MADE or proven.facts is None:
		return "the file is there"
	if not proven.facts.tables:
		return rung.meaning
	count = f"{len(proven.facts.tables)} tables, {sum(proven.facts.tables.values())} rows"
	return f"read to its end, {count}" if rung is Rung.WHOLE else f"restored, {count} are the same"


def _find_place(file: Path, url: str | None) -> Place | None:
	"""Where to restore to; not every engine asks for it. Raises `InputError`."""
	if url:
		return parse_address(url)
	try:
		engine = find_engine_of_dump(read_head(file).kind)
	except (DamagedFile, OSError):
		# Reading it whole will say so, and no server is needed for that.
		return None
	if engine and engine.proving.ASKS_FOR_PLACE:
		raise InputError(
			"database-url",
			None,
			"rung 4 restores the dump, and no server is named to restore it into",
			f"name one with --database-url or ${URL_VARIABLE}",
		)
	return None


def _as_json(data: dict[str, Any]) -> str:
	return encodable(json.dumps(data, indent=1, ensure_ascii=False))


def _make_meter() -> Callable[[int, int | None], None] | None:
	"""Progress in one line of the terminal; none where nobody watches."""
	if not sys.stderr.isatty():
		return None
	return ProgressMeter(_show_line)


def _show_line(line: str) -> None:
	"""Replace the line of the terminal."""
	click.echo(f"\r\033[K{line}", nl=False, err=True)
