"""Rows are counted as a server would, wherever the pieces are cut, and no statement leaves its database."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.converters import escape_string

from press_deploy.engine.backup.dump_file import DamagedFile
from press_deploy.engine.backup.sql_scan import SqlScanner
from tests.support.dumps import CLOSING, write_dump

TROUBLE = [
	"'",
	'"',
	"\\",
	"(",
	")",
	",",
	";",
	"\n",
	"\r\n",
	"),(",
	");\n",
	"';\n",
	"\\'",
	"--",
	"`",
	"\0",
	"ü",
	"x",
]
texts = st.lists(st.sampled_from(TROUBLE), max_size=12).map("".join)
blobs = st.binary(max_size=12)
rows = st.lists(st.tuples(texts, blobs, st.none() | st.integers()), min_size=1, max_size=8)


def scan(text: bytes, size: int = 1 << 20) -> SqlScanner:
	scanner = SqlScanner()
	for begin in range(0, len(text), size):
		scanner.feed(text[begin : begin + size])
	scanner.finish()
	return scanner


def write_value(value: object, raw: bool) -> bytes:
	if value is None:
		return b"NULL"
	if isinstance(value, int):
		return str(value).encode()
	if isinstance(value, str):
		# A line break as it is: not how mariadb-dump writes it, but how other programs do.
		escaped = value.replace("\\", "\\\\").replace("'", "\\'") if raw else escape_string(value)
		return b"'" + escaped.encode() + b"'"
	if raw:
		escaped_bytes = value.replace(b"\\", b"\\\\").replace(b"'", b"\\'").replace(b"\n", b"\\n")
		return b"_binary '" + escaped_bytes + b"'"
	return b"0x" + value.hex().encode() if value else b"''"


@settings(max_examples=150, deadline=None)
@given(rows=rows, size=st.integers(1, 60), raw=st.booleans(), between=st.sampled_from([b",", b",\n"]))
def test_rows_are_counted_whatever_they_hold_and_wherever_it_is_cut(
	rows: list[tuple], size: int, raw: bool, between: bytes
) -> None:
	values = between.join(b"(" + b",".join(write_value(each, raw) for each in row) + b")" for row in rows)
	insert = b"INSERT INTO `it's (``odd``)` (`a`, `b)`) VALUES " + values + b";\n"
	found = scan(insert + insert + CLOSING.encode(), size)
	assert found.rows == {"it's (`odd`)": 2 * len(rows)}


@pytest.mark.parametrize("size", [1, 2, 7, 1 << 20])
def test_objects_are_found_by_kind(size: int) -> None:
	extra = (
		"/*!50001 CREATE VIEW `v1` AS SELECT\n 1 AS `a` */;\n"
		"/*!50001 CREATE TABLE `v2` (\n  `a` tinyint NOT NULL\n) ENGINE=MyISAM */;\n"
		"/*!50001 DROP VIEW IF EXISTS `v1`*/;\n/*!50001 CREATE ALGORITHM=UNDEFINED */\n"
		"/*!50013 DEFINER=`a`@`%` SQL SECURITY DEFINER */\n/*!50001 VIEW `v1` AS select 'x;' AS `a` */;\n"
		"/*!50001 VIEW `v2` AS select 1 AS `a` */;\n".replace(
			"/*!50001 VIEW `v2`", "/*!50001 CREATE VIEW `v2`"
		)
		+ "CREATE SEQUENCE `s` start with 1 ENGINE=InnoDB;\nDO SETVAL(`s`, 1, 0);\n"
		"DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`%`*/ /*!50003 TRIGGER t before insert on `tabNote`\n"
		"for each row begin\nset new.text = 'it''s';\n-- don't\nend */;;\nDELIMITER ;\n"
		"DELIMITER ;;\nCREATE DEFINER=`a`@`%` PROCEDURE `p`()\nbegin\nINSERT INTO `tabNote` VALUES (1);\n"
		"DROP TABLE `other`.`x`;\nend ;;\nCREATE FUNCTION `f`() RETURNS int\nreturn 1 ;;\nDELIMITER ;\n"
		"DELIMITER ;;\n/*!50106 CREATE*/ /*!50117 DEFINER=`a`@`%`*/ /*!50106 EVENT `e` ON SCHEDULE EVERY 1 DAY"
		" DO select 1 */ ;;\nDELIMITER ;\n"
	)
	found = scan(write_dump({"tabNote": 2}, extra=extra), size)
	assert found.rows == {"tabNote": 2}
	assert found.objects == {
		**{"views": {"v1", "v2"}, "sequences": {"s"}, "triggers": {"t"}},
		**{"procedures": {"p"}, "functions": {"f"}, "events": {"e"}},
	}


@pytest.mark.parametrize(
	"statement,words",
	[
		("USE `other`", "leave its own database"),
		("use other", "leave its own database"),
		("CREATE DATABASE `other`", "leave its own database"),
		(
			"CREATE DATABASE /*!32312 IF NOT EXISTS*/ `other` /*!40100 DEFAULT CHARACTER SET utf8mb4 */",
			"leave its",
		),
		("/*!40000 DROP DATABASE IF EXISTS `other`*/", "leave its own database"),
		("DROP SCHEMA other", "leave its own database"),
		("ALTER DATABASE `shop` CHARACTER SET latin1 COLLATE latin1_swedish_ci", "leave its own database"),
		("SET @a=1; USE `other`", "more than one statement"),
		("INSERT INTO `tabNote` VALUES (1,'a'); USE `other`", "line of another statement"),
		("INSERT INTO `other`.`tabNote` VALUES (1,'a')", "names another database"),
		("CREATE TABLE `other`.`a` (b int)", "names another database"),
		("DROP TABLE IF EXISTS `other`.`a`", "names another database"),
		("INSERT INTO tabNote VALUES (1,'a')", "can't be understood"),
		("CREATE USER a", "no dump of one database"),
		("GRANT ALL ON *.* TO a", "no dump of one database"),
		("SET GLOBAL general_log = 1", "no dump of one database"),
		("LOAD DATA INFILE '/x' INTO TABLE a", "no dump of one database"),
		("DELETE FROM `tabNote`", "no dump of one database"),
	],
)
def test_a_statement_that_leaves_the_database_is_refused(statement: str, words: str) -> None:
	with pytest.raises(DamagedFile) as caught:
		scan(write_dump({"tabNote": 2}, extra=f"{statement};\n"))
	assert caught.value.check == "statements" and words in str(caught.value)


@pytest.mark.parametrize(
	"statement",
	[
		"CREATE USER a IDENTIFIED BY 'geheim'",
		f"CREATE USER a IDENTIFIED BY 'geheim{'x' * 9000}'",
		"INSERT INTO tabAuth VALUES (1,'geheim')",
		"INSERT INTO `tabNote` VALUES (1,'a'); SET @a='geheim'",
	],
)
def test_no_value_is_repeated_in_a_message(statement: str) -> None:
	with pytest.raises(DamagedFile) as caught:
		scan(write_dump({}, extra=f"{statement};\n"))
	assert "geheim" not in str(caught.value)
