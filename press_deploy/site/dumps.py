"""Database dumps as the site reads them: is this file whole, and what is in it?

Invariant: a dump that passes `inspect` can be read to its end and says itself that it is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from press_deploy.engine.databases.dumps.dump_check import check_dump
from press_deploy.engine.databases.dumps.dump_file import DamagedFile
from press_deploy.engine.ground.errors import SiteProcessFailed


@dataclass(frozen=True)
class Dump:
	path: Path
	kind: str  # as `DumpFacts.kind`
	tables: int


def inspect(path: Path) -> Dump:
	"""Read a dump to its end, however it is packed. Raises `SiteProcessFailed` when it is not whole."""
	try:
		facts = check_dump(path)
	except FileNotFoundError:
		raise _not_whole(path, "the file is not there") from None
	except (DamagedFile, OSError) as error:
		raise _not_whole(path, str(error)) from None
	return Dump(path, facts.kind, len(facts.tables))


def _not_whole(path: Path, why: str) -> SiteProcessFailed:
	return SiteProcessFailed(
		"Verifying", f"the dump {path}", why, "use another backup; this one restores nothing"
	)
