"""Finding what a rollback would lose.

Invariant: two calls on one reader give the same answer, and the second costs nothing.
"""

from __future__ import annotations

from press_deploy.engine.databases.losses.comparison import Comparison
from press_deploy.engine.databases.losses.model import Losses
from press_deploy.engine.databases.losses.reader import Reader


def find_losses(reader: Reader, before: str, after: str) -> Losses:
	"""What is in `after` (live) and not in `before` (the backup), document by document.

	Computed from the rows themselves, `modified` plays no part. `CHECKSUM TABLE` plays none either: it takes
	'ab', 'c' and 'a', 'bc' in two columns side by side for the same row. Columns that only one side has: see
	`added_columns.py`. Databases by name, or files by path. Raises `StepFailed`.
	"""
	return compare(reader, before, after).summarise()


def compare(reader: Reader, before: str, after: str) -> Comparison:
	"""The comparison that both the list and the export are made from."""
	if (before, after) not in reader.found:
		reader.found[before, after] = Comparison(reader, before, after)
	return reader.found[before, after]
