"""What a database rollback would lose: counted and named from the rows themselves, and exported afterwards.

Invariant: a difference between the two databases is listed, unless a table of this package names the
reason why nobody would enter it again.
"""

from press_deploy.engine.losses.export import Exported, export
from press_deploy.engine.losses.finding import find_losses
from press_deploy.engine.losses.mariadb import MariaDBReader
from press_deploy.engine.losses.model import ACTIONS, Losses, Named
from press_deploy.engine.losses.reader import Reader
from press_deploy.engine.losses.snapshot import open_snapshot
from press_deploy.engine.losses.sqlite import SQLiteReader

__all__ = [
	"ACTIONS",
	"Exported",
	"Losses",
	"MariaDBReader",
	"Named",
	"Reader",
	"SQLiteReader",
	"export",
	"find_losses",
	"open_snapshot",
]
