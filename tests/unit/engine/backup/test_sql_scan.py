"""Rows are counted as a server would, wherever the pieces are cut, and no statement leaves its database."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymysql.converters import escape_string

from press_deploy.engine.databases.dumps.dump_file import DamagedFile
from press_deploy.engine.databases.mariadb.sql.scan import SqlScanner
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
		escaped = (
			value.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
			if raw
			else escape_string(value)
		)
		return b"'" + escaped.encode() + b"'"
	if raw:
		escaped_bytes = value.replace(b"\\", b"\\\\").replace(b"'", b"\\'").replace(b"\n", b"\\n")
		return b"_binary '" + escaped_bytes.replace(b"\0", b"\\0") + b"'"
	return b"0x" + value.hex().encode() if value else b"''"


@settings(max_examples=150, deadline=None)
@given(rows=rows, size=st.integers(1, 60), raw=st.booleans(), between=st.sampled_from([b",", b",\n"]))
def test_rows_are_counted_whatever_they_hold_and_wherever_it_is_cut(
	rows: list[tuple], size: int, raw: bool, between: bytes
) -> None:
	values = between.join(b"(" + b",".join(write_value(each, raw) for each in row) + b")" for row in rows)
	insert = b"INSERT INTO `it's (``odd``)` (`a`, `b)`) VALUES " + values + b";\n"
	table = b"CREATE TABLE `it's (``odd``)` (`a` text, `b)` blob);\n"
	found = scan(table + insert + insert + CLOSING.encode(), size)
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
		("DROP TABLE IF EXISTS `zz`,`prod`.`users`", "names another database"),
		("DROP TABLE IF EXISTS `zz`,`users`", "no dump of one database"),
		("DROP TABLE IF EXISTS prod.users", "names another database"),
		("DROP TABLE IF EXISTS /* */ `prod`.`users`", "names another database"),
		("DROP TABLE IF EXISTS /*!99999 `a` */ `users`", "for some servers alone"),
		("SET STATEMENT max_statement_time=60 FOR DROP DATABASE prod", "no dump of one database"),
		("SET SESSION sql_mode='', GLOBAL max_connections=77", "no dump of one database"),
		("SET @@GLOBAL.max_connections=77", "no dump of one database"),
		("/*!99999 SET time_zone = */ SHUTDOWN", "for some servers alone"),
		("SET sql_mode='NO_BACKSLASH_ESCAPES'", "this sql_mode"),
		("SET sql_mode=4", "this sql_mode"),
		("SET NAMES gbk", "character set gbk"),
		("SET character_set_client = sjis", "character set sjis"),
		("SET @a='NO_BACKSLASH_ESCAPES'", "no dump of one database"),
		("ALTER TABLE `a` RENAME TO `prod`.`a2`", "names another database"),
		("ALTER TABLE `tabNote` RENAME TO `b`", "no dump of one database"),
		("RENAME TABLE `a` TO `prod`.`a`", "no dump of one database"),
		("LOCK TABLES `tabNote` WRITE, `prod`.`users` WRITE", "names another database"),
		("LOCK TABLES `users` WRITE", "has not made"),
		("INSERT INTO `users` VALUES (1)", "has not made"),
		("INSERT INTO `tabNote` VALUES (1,(SELECT 2))", "than plain rows"),
		("INSERT INTO `tabNote` VALUES (f(1),'a')", "than plain rows"),
		("INSERT INTO `tabNote` VALUES (1,NEXT VALUE FOR `prod`.`s`)", "than plain values"),
		("INSERT INTO `tabNote` VALUES (1,CURRENT_USER)", "than plain values"),
		("INSERT INTO `tabNote` VALUES (1,'a') ON DUPLICATE KEY UPDATE a=1", "than plain values"),
		("INSERT INTO `tabNote` VALUES (1,2) -- '", "than plain"),
		('INSERT INTO `tabNote` VALUES (1,"a")', "than plain values"),
		("CREATE TABLE `a` (b int) SELECT * FROM users", "a table with SELECT"),
		("CREATE TABLE `a` (b int) VALUES (f())", "a table with VALUES"),
		("CREATE TABLE `a` LIKE `tabNote`", "no dump of one database"),
		("CREATE TABLE `a` (b int, FOREIGN KEY (b) REFERENCES `prod`.`users` (c))", "names another database"),
		("CREATE TABLE `a` (b int) ENGINE=MRG_MyISAM UNION=(`prod`.`users`)", "names another database"),
		(
			"CREATE TABLE `a` (b int) ENGINE=MRG_MyISAM INSERT_METHOD=LAST UNION=(`b`,`c`)",
			"no rows of its own",
		),
		("CREATE TABLE `a` (b decimal(2,1) DEFAULT prod.5)", "names another database"),
		("CREATE TABLE `a` (b decimal(2,1) DEFAULT prod . 5)", "names another database"),
		("CREATE TABLE `a` (b int) ENGINE=FEDERATED", "engine FEDERATED"),
		("CREATE TABLE `a` (b int) ENGINE=InnoDB DATA DIRECTORY='/srv'", "a table with DIRECTORY"),
		("CREATE FUNCTION `f` RETURNS STRING SONAME 'x.so'", "no dump of one database"),
		("CREATE TRIGGER t BEFORE INSERT ON prod.users FOR EACH ROW SET NEW.a = 1", "names another database"),
		("CREATE EVENT `e` ON SCHEDULE AT f() DO SELECT 1", "no dump of one database"),
		("/*!50003 DROP TABLE `tabNote` /*! */ */", "inside each other"),
		("SELECT 1 /*+ ' */", "can't be understood"),
		("TRUNCATE `tabNote`", "no dump of one database"),
		("CALL f()", "no dump of one database"),
	],
)
def test_a_statement_that_leaves_the_database_is_refused(statement: str, words: str) -> None:
	with pytest.raises(DamagedFile) as caught:
		scan(write_dump({"tabNote": 2}, extra=f"{statement};\n"))
	assert caught.value.check == "statements" and words in str(caught.value)
	shown = "USE" if "another statement" in words else statement.lstrip("/*!0123456789 ")[:3]
	line = write_dump({"tabNote": 2}).count(b"\n")
	# What is to be done now.
	assert len(str(caught.value).partition(" → ")[2]) > 20
	assert str(caught.value).startswith(f"line {line}: ") and f": {shown}" in str(caught.value).replace(
		"; ", ""
	)


PROCEDURE, AFTER = "CREATE PROCEDURE `p`()\n", "DROP TABLE prod.users"


@pytest.mark.parametrize(
	"body",
	[
		f"SELECT 1; {AFTER}",
		f"SELECT 1;; {AFTER};",
		f"BEGIN SELECT 1; END; {AFTER}",
		f"BEGIN SELECT 1; END; {AFTER}; BEGIN NOT ATOMIC SELECT 1; END",
		# Names that look like the beginning of a block, or like its end.
		f"SELECT 1 AS begin; {AFTER}; SELECT 1 AS end",
		f"SELECT CASE WHEN 1 THEN begin END; {AFTER}; SELECT 1 AS end",
		f"SELECT do begin FROM t; {AFTER}; SELECT 1 AS end",
		f"BEGIN SELECT CASE WHEN end THEN begin WHEN 1 THEN begin ELSE 0 END; END; {AFTER}; END",
		f"BEGIN IF 1 THEN SELECT CASE WHEN end THEN begin WHEN 1 THEN begin END; END IF; END; {AFTER}; END",
		f"BEGIN SELECT CASE WHEN 1 THEN 1.END; END; {AFTER}; END",
		f"BEGIN SELECT CASE WHEN 1 THEN .5END; END; {AFTER}; END",
		f"BEGIN SELECT CASE WHEN 1 THEN 1e5END; END; {AFTER}; END",
		f"BEGIN SELECT 1; END /*!99999 BEGIN */ ; {AFTER}; END",
		f"IF 1 THEN SELECT 1; END IF; {AFTER}",
		f"COMMENT 'x' BEGIN END; {AFTER}; BEGIN END",
	],
)
def test_no_statement_hides_behind_a_body(body: str) -> None:
	extra = f"DELIMITER ;;\n{PROCEDURE}{body} ;;\nDELIMITER ;\n"
	with pytest.raises(DamagedFile) as caught:
		scan(write_dump({"tabNote": 2}, extra=extra))
	assert caught.value.check == "statements"


@pytest.mark.parametrize(
	"body",
	[
		"SELECT CASE a WHEN 1 THEN 'x;' ELSE IF(b, 1, 2) END FROM `prod`.`users`",
		"l: BEGIN DECLARE c CURSOR FOR SELECT 1; DECLARE CONTINUE HANDLER FOR NOT FOUND, SQLSTATE '02000' BEGIN END; "
		"DECLARE EXIT HANDLER FOR 1062, SQLEXCEPTION SET @a = 1; OPEN c; END l",
		"BEGIN IF a > (SELECT 1) THEN SET @a = 1; ELSEIF b THEN BEGIN END; ELSE CASE c WHEN 1 THEN SELECT 1; ELSE "
		"SELECT 2; END CASE; END IF; END",
		"BEGIN l: LOOP LEAVE l; END LOOP l; WHILE a DO SET a = 0; END WHILE; REPEAT SET a = 1; UNTIL a END REPEAT; "
		"FOR i IN 1..10 DO SELECT i; END FOR; DO SLEEP(0); SELECT t.end, `begin`, REPEAT('a', 2) FROM t; END",
		"IF 1 THEN DROP TABLE prod.users; END IF",
		"BEGIN -- don't; end\n# it's\n/* ; ' */ SELECT 1; END",
		"BEGIN SELECT ';;\n'; END",
	],
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_bodies_are_one_statement_whatever_they_do(body: str, size: int) -> None:
	extra = f"DELIMITER ;;\n{PROCEDURE}{body} ;;\nDELIMITER ;\n"
	assert scan(write_dump({"tabNote": 2}, extra=extra), size).objects == {"procedures": {"p"}}


TRIGGER = "DELIMITER ;;\nCREATE DEFINER=`root`@`localhost` TRIGGER t BEFORE INSERT ON {} FOR EACH ROW DELETE FROM b ;;\n"
VIEW = "CREATE VIEW `v` AS SELECT 1 AS a;\n"


@pytest.mark.parametrize(
	"extra",
	[
		TRIGGER.format("`tabNote`") + "DELIMITER ;\nINSERT INTO `tabNote` VALUES (7,'a');\n",
		# Some servers don't tell these names apart.
		TRIGGER.format("TABNOTE") + "DELIMITER ;\nINSERT INTO `tabNote` VALUES (7,'a');\n",
		TRIGGER.format("`tabNote`") + "DELIMITER ;\nLOCK TABLES `tabNote` WRITE;\n",
		"CREATE TABLE `v` (a int);\nDROP TABLE `v`;\n" + VIEW + "INSERT INTO `v` VALUES (1);\n",
	],
)
def test_no_row_is_written_where_a_trigger_would_fire(extra: str) -> None:
	with pytest.raises(DamagedFile, match="has a trigger by then"):
		scan(write_dump({"tabNote": 2}, extra=extra))


def test_a_default_from_another_database_is_not_used() -> None:
	table = "CREATE TABLE `a` (`b` bigint(20) DEFAULT nextval(`shop`.`s`), `c` int);\n"
	assert scan(write_dump({}, extra=table + "INSERT INTO `a` (`b`, `c`) VALUES (1,2);\n")).rows == {"a": 1}
	with pytest.raises(DamagedFile, match="filled from another database"):
		scan(write_dump({}, extra=table + "INSERT INTO `a` (`c`) VALUES (2);\n"))


@pytest.mark.parametrize("extra", ["DELIMITER $$\n", "/*M!999999\\- */ DROP TABLE prod.users;\n"])
def test_no_line_hides_a_statement(extra: str) -> None:
	with pytest.raises(DamagedFile) as caught:
		scan(write_dump({"tabNote": 2}, extra=extra))
	assert caught.value.check == "statements"


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_values_of_all_kinds_are_taken(size: int) -> None:
	values = "(1,-2.5,1e100,-1.5e-20,NULL,0xAB00,_binary 'a\\'(','',0x)"
	table = "CREATE TABLE `a` (`b` int) ENGINE=InnoDB PARTITION BY RANGE (`b`) (PARTITION `p` VALUES LESS THAN (5) ENGINE = InnoDB);\n"
	assert scan(write_dump({}, extra=f"{table}INSERT INTO `a` VALUES {values},\n{values};\n"), size).rows == {
		"a": 2
	}


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


@pytest.mark.parametrize(
	"statement,remedy",
	[
		(
			"ALTER DATABASE `shop` CHARACTER SET latin1 COLLATE latin1_bin",
			"under the database's present collation",
		),
		("ALTER DATABASE `shop` COLLATE latin1_bin", "under the database's present collation"),
		("ALTER DATABASE `shop` UPGRADE DATA DIRECTORY NAME", "of one database alone"),
		("USE `other`", "of one database alone"),
		("INSERT INTO `other`.`tabNote` VALUES (1,'a')", "take out of it what reaches into another database"),
		("SET NAMES gbk", "--default-character-set=utf8mb4"),
		("SET sql_mode='ANSI_QUOTES'", "without such an sql_mode"),
		("CREATE TABLE `a` (b int) ENGINE=MERGE UNION=(`c`)", "by a view of these tables"),
		("CREATE TABLE `a` (b int) ENGINE=FEDERATED", "ENGINE=InnoDB"),
		("CREATE TABLE `a` (b int) DATA DIRECTORY='/x'", "a table without DIRECTORY"),
		("/*!99999 SET time_zone = */ SHUTDOWN", "a MariaDB that is supported"),
		("TRUNCATE `tabNote`", "which nobody has edited"),
	],
)
def test_what_to_do_about_a_refusal_is_said(statement: str, remedy: str) -> None:
	with pytest.raises(DamagedFile) as caught:
		scan(write_dump({"tabNote": 2}, extra=f"{statement};\n"))
	assert remedy in str(caught.value).partition(" → ")[2]


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize("number", [".5", "-.5", ".5e3", "(.5*2)", "(`b`*.25)", "0.5"])
def test_a_number_that_begins_with_a_point_is_no_name(number: str, size: int) -> None:
	table = f"CREATE TABLE `a` (`b` decimal(5,2) DEFAULT {number}, CHECK (`b`>.1));\n"
	assert scan(write_dump({}, extra=table), size).rows == {"a": 0}


@pytest.mark.parametrize(
	"options",
	["", " as int(11)", " as tinyint(3) unsigned", " as bigint(20) unsigned"],
)
def test_sequences_of_all_types_are_taken(options: str) -> None:
	"""As MariaDB 11.5 and later write them."""
	extra = (
		f"CREATE SEQUENCE `s`{options} start with -1 minvalue -100 maxvalue -1 increment by -1 cache 1000 nocycle "
		"ENGINE=InnoDB COMMENT='it\\'s (odd); `a`.`b`';\nDO SETVAL(`s`, -1, 0);\n"
	)
	assert scan(write_dump({"a": 1}, extra=extra)).objects == {"sequences": {"s"}}


def test_a_table_as_mariadb_11_8_writes_it() -> None:
	extra = (
		"/*M!100616 SET @OLD_NOTE_VERBOSITY=@@NOTE_VERBOSITY, NOTE_VERBOSITY=0 */;\n"
		"CREATE TABLE `a` (\n  `b` uuid NOT NULL,\n  `d` datetime(6) DEFAULT current_timestamp(6)\n) ENGINE=InnoDB;\n"
		"SET @OLD_AUTOCOMMIT=@@AUTOCOMMIT, @@AUTOCOMMIT=0;\nLOCK TABLES `a` WRITE;\n"
		"/*!40000 ALTER TABLE `a` DISABLE KEYS */;\nINSERT INTO `a` VALUES\n('x','y'),\n('z',NULL);\n"
		"/*!40000 ALTER TABLE `a` ENABLE KEYS */;\nUNLOCK TABLES;\nCOMMIT;\nSET AUTOCOMMIT=@OLD_AUTOCOMMIT;\n"
		"/*M!100616 SET NOTE_VERBOSITY=@OLD_NOTE_VERBOSITY */;\n"
	)
	assert scan(write_dump({}, extra=extra)).rows == {"a": 2}


# --- what honest dumps hold, and what shows that one is none ------------------------------------


@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize(
	"body",
	[
		"BEGIN SELECT 1; -- done;;\nEND",
		"BEGIN SELECT 1; # it's;;\nEND",
		"BEGIN SELECT /*+ MAX_EXECUTION_TIME(1000) NO_ICP(t@a, `b) */ 1; END".replace("`", ""),
	],
)
def test_a_delimiter_in_the_comment_of_a_line_is_none(body: str, size: int) -> None:
	extra = f"DELIMITER ;;\n{PROCEDURE}{body} ;;\nDELIMITER ;\n"
	assert scan(write_dump({"tabNote": 2}, extra=extra), size).objects == {"procedures": {"p"}}


def test_a_comment_hides_no_statement_behind_it() -> None:
	extra = f"DELIMITER ;;\n{PROCEDURE}BEGIN SELECT 1; END -- x;;\n; {AFTER} ;;\nDELIMITER ;\n"
	with pytest.raises(DamagedFile) as caught:
		scan(write_dump({"tabNote": 2}, extra=extra))
	assert caught.value.check == "statements"


def test_a_table_as_mysql_8_writes_it() -> None:
	extra = (
		"CREATE TABLE `a` (\n  `b` int /*!80023 INVISIBLE */ DEFAULT NULL,\n  `c` point /*!80003 SRID 4326 */,\n"
		"  KEY `b` (`b`) /*!80000 INVISIBLE */,\n  CONSTRAINT `d` CHECK ((`b` > 0)) /*!80016 NOT ENFORCED */\n"
		") /*!50100 TABLESPACE `t` */ ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 /*!80016 ENCRYPTION='N' */\n"
		"/*!50100 PARTITION BY RANGE (`b`)\n(PARTITION p0 VALUES LESS THAN (10) ENGINE = InnoDB) */;\n"
		"INSERT INTO `a` (`b`) VALUES (1);\n"
		"/*!80002 ANALYZE TABLE `a` UPDATE HISTOGRAM ON `b`, `c` WITH 100 BUCKETS */;\n"
	)
	assert scan(write_dump({}, extra=extra)).rows == {"a": 1}


@pytest.mark.parametrize(
	"statement",
	[
		"/*!80002 ANALYZE TABLE `prod`.`a` UPDATE HISTOGRAM ON `b` WITH 100 BUCKETS */",
		"/*!80002 ANALYZE TABLE `a` UPDATE HISTOGRAM ON `b` WITH 100 BUCKETS; DROP TABLE `prod`.`a` */",
		"/*!80002 ANALYZE TABLE `a` UPDATE HISTOGRAM ON `b` WITH 100 BUCKETS */ DROP TABLE `a`",
		"CREATE TABLE `a` (`b` int /*!80016 NOT ENFORCED, `c` int */)",
		"SELECT /*+ ; */ 1",
	],
)
def test_nothing_hides_behind_what_is_for_some_servers(statement: str) -> None:
	with pytest.raises(DamagedFile) as caught:
		scan(write_dump({}, extra=f"{statement};\n"))
	assert caught.value.check == "statements"


HISTORY = "/*M!101100 SET {}system_versioning_insert_history={} */;\n"


def test_rows_of_former_times_are_counted_and_told() -> None:
	extra = (
		"CREATE TABLE `a` (`b` int) ENGINE=InnoDB WITH SYSTEM VERSIONING;\n"
		+ HISTORY.format(
			"@old_system_versioning_insert_history=@@session.system_versioning_insert_history, @@session.", 1
		)
		+ "INSERT INTO `a` (`b`, row_start, row_end) VALUES (1,'2026-11-23 16:17:27.26','2038-01-19 03:14:07.99'),\n"
		"(0,'2026-11-23 16:17:27.26','2026-11-23 16:17:27.27');\n"
		+ HISTORY.format("", "@old_system_versioning_insert_history")
		+ "INSERT INTO `tabNote` VALUES (1,'a');\n"
	)
	found = scan(write_dump({"tabNote": 0}, extra=extra))
	assert (found.rows, found.historic) == ({"a": 2, "tabNote": 1}, {"a"})


def test_tables_that_differ_by_case_alone_are_two() -> None:
	trigger = TRIGGER.format("`Note`") + "DELIMITER ;\n"
	extra = "CREATE TABLE `Note` (a int);\n" + trigger + "DROP TABLE IF EXISTS `note`;\n"
	rows = "LOCK TABLES `note` WRITE;\nINSERT INTO `note` VALUES (1);\nUNLOCK TABLES;\n"
	assert scan(write_dump({}, extra=f"{extra}CREATE TABLE `note` (a int);\n{rows}")).rows == {
		"Note": 0,
		"note": 1,
	}
	# On a server that doesn't tell them apart, the first one and its trigger would be still there.
	with pytest.raises(DamagedFile, match="has a trigger by then"):
		scan(write_dump({}, extra=f"{extra}CREATE TABLE IF NOT EXISTS `note` (a int);\n{rows}"))


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
	"line",
	[
		"mysqldump: [Warning] Using a password on the command line interface can be insecure.",
		"/usr/bin/mysqldump: Deprecated program name. It will be removed in a future release",
		"mariadb-dump: Got error: 1146: \"Table 'geheim' doesn't exist\" when using LOCK TABLES",
		"mariadb-dump: Error 2013: Lost connection to server during query when dumping table `a` at row: 1",
	],
)
def test_the_words_of_the_program_are_no_statement(line: str, size: int) -> None:
	"""Its standard error went into the file."""
	for content in (
		write_dump({"a": 1}, extra=f"{line}\n"),
		f"{line}\n".encode() + write_dump({"a": 1}),
		write_dump({"a": 1}, extra=f"{line}\n").removesuffix(CLOSING.encode()),
	):
		with pytest.raises(DamagedFile, match="no 2>&1") as caught:
			scan(content, size)
		assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
	"line",
	[
		"-- failed on view `v`: CREATE VIEW `v` AS select `shop`.`c`.`b` AS `b` from `c`",
		"-- insufficient privileges to SHOW CREATE PROCEDURE `p`",
	],
)
def test_what_the_program_left_out_is_missing(line: str) -> None:
	with pytest.raises(DamagedFile) as caught:
		scan(write_dump({"a": 1}, extra=f"\n{line}\n\n"))
	assert caught.value.check == "completeness" and "without --force" in str(caught.value)
	# In a row it is none of its words.
	assert scan(write_dump({"a": 0}, extra=f"INSERT INTO `a` VALUES (1,'x\n{line}\n');\n")).rows == {"a": 1}


@pytest.mark.parametrize("rest", ["garbage", "rubbish in a line\n", "DROP TABLE `a`;\n", "/* "])
def test_what_follows_the_closing_line_is_told(rest: str) -> None:
	with pytest.raises(DamagedFile, match="follow its closing line") as caught:
		scan(write_dump({"a": 1}) + rest.encode())
	assert caught.value.check == "closing line"


def test_a_dump_that_another_one_cuts_off_is_told() -> None:
	dump = write_dump({"a": 1})
	with pytest.raises(DamagedFile, match="another dump begins in the middle of a statement"):
		scan(dump[: dump.index(b"PRIMARY KEY")] + dump)


@pytest.mark.parametrize(
	"statement,remedy",
	[
		("SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN", "--set-gtid-purged=OFF"),
		("SET @@SESSION.SQL_LOG_BIN= 0", "--set-gtid-purged=OFF"),
		("SET @@GLOBAL.GTID_PURGED='a:1-2'", "--set-gtid-purged=OFF"),
		("SET GLOBAL gtid_slave_pos='0-1-2'", "no --gtid"),
		("CHANGE MASTER TO MASTER_LOG_FILE='a', MASTER_LOG_POS=1", "--master-data=2"),
		("STOP ALL SLAVES", "--dump-slave=2"),
		("LOCK TABLES `other` WRITE", "without --no-create-info"),
		("INSERT INTO `other` VALUES (1)", "without --no-create-info"),
		("CREATE USER `a`@`b` ACCOUNT LOCK", "--system"),
		("DROP TABLE IF EXISTS a", "--skip-quote-names"),
		("SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='ANSI'", "without --compatible"),
	],
)
def test_an_option_that_spoils_a_dump_is_named(statement: str, remedy: str) -> None:
	with pytest.raises(DamagedFile) as caught:
		scan(write_dump({"tabNote": 2}, extra=f"{statement};\n"))
	assert remedy in str(caught.value).partition(" → ")[2]


@pytest.mark.parametrize(
	"body", ["SELECT \\N", "SELECT /*!99999 1 + */ 2", "SELECT 1.", "SELECT /*+ 'x' */ 1"]
)
def test_what_to_do_about_a_body_is_said(body: str) -> None:
	extra = f"DELIMITER ;;\n/*!50003 CREATE*/ /*!50020 DEFINER=`a`@`b`*/ /*!50003 PROCEDURE `p`()\nBEGIN {body}; END */;;\n"
	with pytest.raises(DamagedFile) as caught:
		scan(write_dump({"tabNote": 2}, extra=f"{extra}DELIMITER ;\n"))
	assert "create that trigger, routine or event again" in str(caught.value)
