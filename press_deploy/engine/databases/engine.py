"""What engines of databases differ in: one file for each of these, by the same names in every engine's folder.

Each class below says what the file of its name holds; `engines.py` is the table. A new engine is a folder with these
files and a line in the table.

Invariant: who is not in an engine's folder asks for what he needs, and never which engine it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases.dumps.dump_file import DumpHead
from press_deploy.engine.databases.dumps.facts import DumpFacts, Expectation
from press_deploy.engine.databases.dumps.method import Measure, Method
from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.databases.stored_passwords import Stored
from press_deploy.engine.databases.unavailable import Ask
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.ground.progress import Progress

# Where something is restored to be looked at: a server and an account on it, or what else an engine needs.
Place = Any
# Is shown what was restored, before it goes: its place, and its name there.
Look = Callable[[Place, str], Any]
# The check that fails when it is not the file's fault.
SERVER = "server"


class DumpFormat(Protocol):
	"""Its dump files: how they are known, and read to their end."""

	# As `DumpFacts.kind` says it, and as people do.
	NAME: str
	TITLE: str
	# What no check can see, unless a manifest says that the file is as it was made.
	SETTLED_DOUBTS: tuple[str, ...]

	def recognise(self, head: bytes, comments: str) -> DumpHead | None:
		"""What a dump that begins so says of itself; None where it is none of this engine's."""

	def check_head(self, found: DumpHead, head: bytes, expected: Expectation) -> None:
		"""Refuse what can't be whole, or can't be restored. Raises `DamagedFile`."""

	def read(self, chunks: Iterator[bytes], path: Path, compression: str | None) -> dict[str, Any]:
		"""Read the content to its end: fields of `DumpFacts`; "tables" where they can be known.

		Raises `DamagedFile`.
		"""

	def find_doubts(
		self, found: DumpHead, head: bytes, path: Path, compression: str | None, tables: Mapping[str, int]
	) -> Iterator[str]:
		"""What no check could see, as sentences."""


class Figures(Protocol):
	"""Looking into a site's database; `ask` executes one reading query."""

	# What its driver raises.
	ERRORS: tuple[type[Exception], ...]
	# What to type where it does not answer.
	START: str

	def connect(self, bench: Bench, site: str, seconds: float) -> Any:
		"""A connection that is to be read from only; an answer takes `seconds` at most."""

	def phrase(self, query: str) -> str:
		"""A query with `%s` for its values and names in backticks, as this engine takes it."""

	def is_ended(self, error: Exception) -> bool:
		"""Whether somebody ended an open connection, so that asking again over a new one is right."""

	def count_connections(self, ask: Ask) -> int | None:
		"""Those open on the server; None where there is no server."""

	def find_maximum_connections(self, ask: Ask) -> int | None: ...

	def list_long_statements(self, ask: Ask, seconds: int) -> list[str]:
		"""Statements and transactions on this database that last longer."""

	def measure_bytes(self, ask: Ask, bench: Bench, site: str) -> int | None:
		"""Data and indexes."""

	def list_tables(self, ask: Ask) -> dict[str, int | None]:
		"""{table: about how many rows; None where nobody estimates}."""

	def list_columns(self, ask: Ask, table: str) -> set[str]: ...

	def as_text(self, expression: str) -> str:
		"""A value as text that may stand in one column with text of any other kind."""


class Dumping(Protocol):
	"""How a site's database is backed up."""

	# Which of a backup's files are no dumps, but copies of a server's: {suffix: what sees that one is whole}.
	COPIES: Mapping[str, Callable[[Path], dict[str, Any]]]
	# Whether what Frappe's own backup dumps is of one instant.
	FRAPPES_IS_CONSISTENT: bool

	def choose_method(
		self, wanted: str, config: dict[str, Any], size: int | None = None, *, as_dump: bool = False
	) -> Method:
		"""The method for a site with this configuration and a database of `size` bytes.

		`as_dump`: a dump, whatever is wanted. Raises `Refused` when the one that is wanted can't be used.
		"""

	def require_readable(self, method: Method, config: dict[str, Any]) -> str | None:
		"""Who can read all of the database for this method, in words; None where that is no question.

		Raises `Refused` where nobody can, and `StepFailed`.
		"""

	def require_whole(self, method: Method, config: dict[str, Any]) -> None:
		"""Raise `Refused` where what `method` makes would not hold everything."""

	def dump(
		self, method: Method, config: dict[str, Any], site: str, directory: Path, measure: Measure
	) -> list[dict[str, str]]:
		"""Back the database up into `directory`: {"kind", "path"} of each file; [] where Frappe does it."""

	def name_in_dump(self, config: dict[str, Any]) -> str | None:
		"""As which database a dump of this site names itself; None where dumps name none."""

	def dump_everything(self, config: dict[str, Any], site: Path, target: Path) -> bool:
		"""In a site process: dump all of a site's database to `target`, packed with gzip.

		`site` is the site's directory. False where that is better left to Frappe. Raises `DeployError` and `OSError`.
		"""


class Loading(Protocol):
	"""How a site's database is put back by an import, where there is no standby."""

	# Whether what is live goes before all of what replaces it was seen to be loadable.
	REPLACES_AT_ONCE: bool

	def why_no_import(self, config: dict[str, Any]) -> str | None:
		"""Why nobody could import all of a site's database; None when somebody could. Raises `StepFailed`."""

	def replace(self, config: dict[str, Any], site: Path, dump: Path, session: Any) -> int:
		"""In a site process: put what is in a whole dump into the place of the site's database.

		`site` is the site's directory, `session` is `frappe.db`, which is closed. Returns how many tables there are
		now. Raises `DeployError` and `OSError`.
		"""


class Standby(Protocol):
	"""Where a site's standby is, and those there are."""

	def open_standby(self, bench: Bench, site: str, run: str, directory: Path) -> StandbyDatabase | None:
		"""That of one run, made or not; None where there can't be one.

		`directory` is a private one of the run's, for notes. Raises `Refused` and `StepFailed`.
		"""

	def list_kept(self, bench: Bench, sites: Iterable[str]) -> tuple[list[dict[str, Any]], list[str]]:
		"""The standby and quarantine databases of these sites, and those sites of which they aren't known.

		Each is {"name", "purpose", "site", "run", "bytes", "created"}; the run of a file is None when the bench
		doesn't know it any more. Raises `DeployError`.
		"""


class Others(Protocol):
	"""Others at work on a site's database, and on the locks that a migration waits for."""

	def look_at(self, config: dict[str, Any], site: str) -> AbstractContextManager[Company | None]:
		"""Look for others for as long as the block lasts; None where nobody can hold a table up.

		Raises `StepFailed`, the block's errors of the server included.
		"""

	def watch_locks(self, config: dict[str, Any], watch: Watch) -> AbstractContextManager[Any]:
		"""While the block lasts, show who keeps it waiting for a lock, and end who is foreign and old enough."""


class Visitor(Protocol):
	"""A connection of somebody else; its text names it, its account, age and statement."""

	number: int
	statement: str

	@property
	def age(self) -> float:
		"""For how many seconds it has been doing this."""


class Company(Protocol):
	"""Those at work on one site's database, as one account sees them."""

	database: str
	# Who looks, and ends.
	account: str

	def list_busy(self) -> list[Any]:
		"""Each a `Visitor` with a statement at work or a transaction open."""

	def end(self, visitor: Visitor) -> bool:
		"""False where this account may not."""

	def tell_how_to_end(self, visitor: Visitor) -> str:
		"""What the database's administrator types."""


@dataclass(frozen=True)
class Watch:
	"""What a watch over locks is told, and tells: see `LockWatch`. `limit` is in seconds."""

	limit: float
	tell: Callable[[str], None]
	note: Callable[[str], None]
	list_ports: Callable[[], set[int]]


class Sessions(Protocol):
	"""Frappe's own connection to its database, as a site process has it: `session` is `frappe.db`."""

	# Whether the beginning of a transaction makes permanent what was written before it.
	BEGIN_COMMITS: bool

	def list_relations(self, session: Any) -> dict[str, str]:
		"""{name: kind}; the kind in the word that SQL has for it: TABLE, VIEW or SEQUENCE."""

	def forbid_changes(self, session: Any) -> None:
		"""Whatever is executed from now on can't change the database."""

	def stay_in_transaction(self, session: Any, execute: Callable[..., Any]) -> None:
		"""See that the next statement can be rolled back; `execute` takes the session and a statement."""


class Proving(Protocol):
	"""Rung 4: what is restored, where, and compared with what."""

	# Whether a dump alone is restored nowhere unless somebody names a place.
	ASKS_FOR_PLACE: bool

	def parse_address(self, url: str) -> Place | None:
		"""The place that an address names; None where it takes no address. Raises `InputError`."""

	def choose_place(self, config: dict[str, Any], file: Path, facts: Mapping[str, Any]) -> Place | None:
		"""Where a site's backup is restored beside it to be looked at; None where it takes a private place.

		`facts` are those of rung 2. Raises `Refused` and `StepFailed`.
		"""

	def find_missing_program(self) -> str | None:
		"""The program that a private place takes, where it is not here."""

	def open_private_place(self, directory: Path) -> AbstractContextManager[Place]:
		"""A place in an empty directory that takes nobody's rights, for the block."""

	def restore(
		self,
		path: Path,
		facts: DumpFacts,
		place: Place | None,
		notes: list[str],
		*,
		progress: Progress | None = None,
		look: Look | None = None,
	) -> dict[str, Any]:
		"""Restore a whole dump into a database of its own, compare, let `look` see it, and drop it again.

		Adds to `notes` what is worth saying of it. Raises `DamagedFile`, `DeployError` and `OSError`.
		"""

	def restore_copy(
		self, file: Path, facts: Mapping[str, Any], place: Place, *, progress: Progress | None, look: Look
	) -> dict[str, Any]:
		"""The same with a copy of a server's files; `facts` are those of rung 2, or {}. Raises `StepFailed`."""

	def is_places_fault(self, error: DeployError) -> bool:
		"""Whether it says nothing against the file that was restored."""

	def read_stored_passwords(self, place: Place, database: str) -> Stored:
		"""Some encrypted passwords of a database; None where there is no table for them. Raises `StepFailed`."""


@dataclass(frozen=True)
class Engine:
	"""One engine: the files of its folder. `name` is Frappe's `db_type`."""

	name: str
	title: str
	dump_format: DumpFormat
	figures: Figures
	dumping: Dumping
	loading: Loading
	standby: Standby
	others: Others
	proving: Proving
	sessions: Sessions
