"""What lines of `SHOW GRANTS` give on the whole server; each is as MariaDB 10.11 wrote it."""

from __future__ import annotations

import pytest

from press_deploy.engine.databases.mariadb.rights import find_missing_rights, find_pattern, read_rights


@pytest.mark.parametrize(
	("line", "rights"),
	[
		(
			"GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` IDENTIFIED VIA mysql_native_password "
			"USING 'invalid' OR unix_socket WITH GRANT OPTION",
			{"ALL PRIVILEGES"},
		),
		(
			"GRANT PROCESS, SUPER, READ_ONLY ADMIN ON *.* TO `u`@`localhost` IDENTIFIED BY PASSWORD '*D8' "
			"WITH GRANT OPTION MAX_QUERIES_PER_HOUR 500",
			{"PROCESS", "SUPER", "READ_ONLY ADMIN"},
		),
		('GRANT CREATE VIEW, SHOW VIEW ON *.* TO "ansi"@"localhost"', {"CREATE VIEW", "SHOW VIEW"}),
		("GRANT CREATE ON *.* TO `a role`", {"CREATE"}),
		("GRANT USAGE ON *.* TO `x ON *.* y`@`%`", {"USAGE"}),
		("GRANT ALL PRIVILEGES ON `x ON *.* TO y`.* TO `u`@`localhost` WITH GRANT OPTION", set()),
		("GRANT SELECT (`a ON *.* b`) ON `x`.`t` TO `u`@`localhost`", set()),
		("GRANT `DROP ON *.* TO x` TO `u`@`localhost`", set()),
		("GRANT `wide` TO `u`@`localhost` WITH ADMIN OPTION", set()),
		("GRANT PROXY ON ``@`%` TO `root`@`localhost` WITH GRANT OPTION", set()),
		("SET DEFAULT ROLE `GRANT DROP ON *.* TO x` FOR `u`@`localhost`", set()),
	],
)
def test_lines(line: str, rights: set[str]) -> None:
	assert read_rights([line]) == rights


class Cursor:
	"""A server of some version, and what it says of the account."""

	def __init__(self, version: str, *grants: str):
		self._answers = {"SELECT VERSION()": [(version,)], "SHOW GRANTS": [(grant,) for grant in grants]}

	def execute(self, query: str) -> None:
		self._rows = self._answers[query]

	def fetchall(self) -> list[tuple[str]]:
		return self._rows

	def fetchone(self) -> tuple[str]:
		return self._rows[0]


@pytest.mark.parametrize(
	("version", "missing"),
	[
		("5.5.5-10.6.18-MariaDB", ["DROP"]),
		("10.11.19-MariaDB-0+deb12u1", ["DROP"]),
		("11.4.2-MariaDB", ["DROP", "SET USER"]),
	],
)
def test_what_is_a_part_of_super(version: str, missing: list[str]) -> None:
	cursor = Cursor(version, "GRANT SUPER, CREATE ON *.* TO `u`@`%`")
	assert find_missing_rights(cursor, ["CREATE", "DROP", "SET USER", "SUPER"]) == missing


def test_lines_count_together() -> None:
	cursor = Cursor("10.11.19-MariaDB", "GRANT CREATE ON *.* TO `u`@`%`", "GRANT DROP ON *.* TO `role`")
	assert find_missing_rights(cursor, ["CREATE", "DROP"]) == []
	everything = Cursor("11.4.2-MariaDB", "GRANT ALL PRIVILEGES ON *.* TO `u`@`%`")
	assert find_missing_rights(everything, ["CREATE", "SET USER"]) == []


ME = "`u`@`localhost`"


@pytest.mark.parametrize(
	("name", "database", "counts"),
	[
		("`shop`", "shop", True),
		("`_shop`", "_shop", True),
		("`_shop`", "xshop", True),
		("`\\_shop`", "xshop", False),
		("`\\_shop`", "_shop", True),
		("`shop%`", "shop_standby", True),
		("`shop`", "shops", False),
		("`a``b c.* TO x`", "a`b c.* TO x", True),
		('"a""b"', 'a"b', True),
		("`s.op`", "shop", False),
	],
)
def test_rights_on_a_database(name: str, database: str, counts: bool) -> None:
	lines = [f"GRANT SELECT, CREATE VIEW ON {name}.* TO {ME} WITH GRANT OPTION"]
	assert read_rights(lines, database) == ({"SELECT", "CREATE VIEW"} if counts else set())
	assert read_rights(lines) == set()
	assert (find_pattern(lines, database, ME) is not None) == counts


def test_the_most_specific_grant_on_a_database_is_the_only_one() -> None:
	lines = [
		f"GRANT ALL PRIVILEGES ON `_shop`.* TO {ME}",
		f"GRANT TRIGGER ON `\\_shop`.* TO {ME}",
		f"GRANT SELECT ON `%`.* TO {ME}",
		"GRANT EVENT ON `_shop`.* TO `a role`",
		f"GRANT PROCESS ON *.* TO {ME}",
	]
	assert read_rights(lines, "_shop") == {"TRIGGER", "EVENT", "PROCESS"}
	assert find_pattern(lines, "_shop", ME) == "\\_shop"
	assert read_rights(lines, "xshop") == {"ALL PRIVILEGES", "EVENT", "PROCESS"}
	assert find_pattern(lines, "other", "`a role`") is None
