"""The table of database engines, and of the formats of dumps that can be read.

A site on an engine that is not in it is refused in preflight; a standby of it there is none.
"""

from __future__ import annotations

from press_deploy.engine.databases.engine import DumpFormat, Engine, Place
from press_deploy.engine.databases.mariadb.parts import MARIADB
from press_deploy.engine.databases.postgresql import dump_format as postgresql
from press_deploy.engine.databases.sqlite.parts import SQLITE
from press_deploy.engine.ground.errors import InputError, Refused

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (MARIADB, SQLITE)}
# Frappe's own, where a site's configuration names none.
DEFAULT = MARIADB
# In the order in which they are tried: what is told by its first byte comes first.
FORMATS: tuple[DumpFormat, ...] = (SQLITE.dump_format, postgresql, MARIADB.dump_format)


def find_engine(db_type: object) -> Engine | None:
	"""The engine of a site whose configuration has this `db_type`; None where it is not in the table."""
	return ENGINES.get(str(db_type)) if db_type else DEFAULT


def engine_of(db_type: object) -> Engine:
	"""The same; raises `Refused` where it is not in the table."""
	if engine := find_engine(db_type):
		return engine
	known = " or ".join(engine.title for engine in ENGINES.values())
	raise Refused(
		"Looking for the engine of",
		f"a database of type {db_type}",
		f"backups of {db_type} were not tested, so they are not proven and not rolled back",
		f"deploy sites on {known} (db_type in site_config.json)",
	)


def find_engine_of_dump(kind: str) -> Engine | None:
	"""The engine that restores dumps of this kind, as `DumpFacts.kind` says it; None where none does."""
	return next((engine for engine in ENGINES.values() if engine.dump_format.NAME == kind), None)


def parse_address(url: str) -> Place:
	"""The place to restore to that an address names, of whatever engine. Raises `InputError`."""
	refused = None
	for engine in ENGINES.values():
		try:
			if place := engine.proving.parse_address(url):
				return place
		except InputError as error:
			refused = error
	assert refused, "no engine takes an address"
	raise refused


def format_of(kind: str) -> DumpFormat:
	"""The format of dumps of this kind."""
	return next(known for known in FORMATS if known.NAME == kind)
