"""Which statement shows an account the text of other people's routines, by the version of the server."""

from __future__ import annotations

import pytest

from press_deploy.engine.databases.mariadb.foreign_objects import Lack, _grant_routines


@pytest.mark.parametrize(
	("version", "statement"),
	[
		("5.5.5-10.6.18-MariaDB", "GRANT SELECT ON mysql.proc TO `u`@`%`;"),
		("10.11.19-MariaDB-0+deb12u1", "GRANT SELECT ON mysql.proc TO `u`@`%`;"),
		("11.2.6-MariaDB", "GRANT SELECT ON mysql.proc TO `u`@`%`;"),
		("11.3.1-MariaDB", "GRANT SHOW CREATE ROUTINE ON `shop`.* TO `u`@`%`;"),
		("11.4.2-MariaDB", "GRANT SHOW CREATE ROUTINE ON `shop`.* TO `u`@`%`;"),
	],
)
def test_the_right_that_shows_routines(version: str, statement: str) -> None:
	assert _grant_routines(version, "`shop`.*", "`u`@`%`") == statement


def test_many_objects_are_counted() -> None:
	assert str(Lack(tuple("abcdefg"))) == "a, b, c, d, e and 2 more"
	assert not Lack() and str(Lack()) == ""
