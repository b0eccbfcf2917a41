"""Backups, and what has been proven of each.

`making` makes one (rung 1), `manifest` sees that it is whole (rung 2), the safe places keep it (rung 3),
`restoring` and the standby database restore it (rung 4), `booting` starts a site on it (rung 5); `rungs` keeps
the ladder, `proving` climbs it with a single file, `catalogue` lists what there is.
"""

from press_deploy.engine.backup.manifest import (
	MANIFEST,
	archives,
	database_file,
	describe,
	files_to_keep,
	is_verified,
	verify,
)

__all__ = ["MANIFEST", "archives", "database_file", "describe", "files_to_keep", "is_verified", "verify"]
