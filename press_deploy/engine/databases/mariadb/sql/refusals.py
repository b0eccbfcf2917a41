"""Why a statement of a dump is refused, and what whoever reads that does now.

Invariant: nothing is refused without a remedy.
"""

from __future__ import annotations

AS_WRITTEN = (
	"use a backup as mariadb-dump or Frappe wrote it, which nobody has edited, and that was made without options that "
	"change its form (--compatible, --skip-quote-names, --system)"
)
FOR_ALL = "make the dump with the mariadb-dump of a MariaDB that is supported"
ONE_DATABASE = (
	"make the dump again of one database alone, without --databases, --all-databases and --add-drop-database"
)
WITH_TABLES = (
	"make the dump again with its tables, without --no-create-info; where nobody made it so, it was edited or "
	"damaged"
)
UNREPLICATED = (
	"make the dump again without what sets up replication: --master-data=2 instead of 1, --dump-slave=2, no --gtid, and "
	"with the mysqldump of MySQL --set-gtid-purged=OFF"
)
PHYSICAL = "or back up by the physical method"
# mariadb-dump writes ALTER DATABASE around a trigger, routine or event that was made while the database had
# another collation, and names the database that was dumped: loaded elsewhere, it would change that one.
PRESENT_COLLATION = (
	"drop and create that trigger, routine or event again under the database's present collation and back up again, "
	+ PHYSICAL
)
OWN_DATABASE = f"take out of it what reaches into another database and back up again, {PHYSICAL}"
PLAIN_BODY = (
	"create that trigger, routine or event again with such names in backquotes, numbers with digits on both sides of the "
	f"point, and without \\N, /*! and /*+ in it, and back up again, {PHYSICAL}"
)
PLAIN_SESSION = (
	"make the dump without --compatible; where that is so already, drop and create that trigger, routine, event or "
	"view again over a connection with character set utf8mb4 and without such an sql_mode and back up again, "
	+ PHYSICAL
)
UTF8_SESSION = (
	"make the dump with --default-character-set=utf8mb4; where that is so already, drop and create that trigger, "
	f"routine, event or view again over a connection with character set utf8mb4 and back up again, {PHYSICAL}"
)


class Unclear(ValueError):
	"""Others might read this statement in another way, or it may do what no dump needs; says why, and what to do."""

	def __init__(self, why: str, remedy: str = AS_WRITTEN):
		self.remedy = remedy
		super().__init__(why)
