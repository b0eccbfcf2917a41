"""A database that holds one of everything, as the statements that make it."""

from __future__ import annotations

from typing import Any

from press_deploy.engine.databases.mariadb.server import Server, quote

ORDERS = 2000
EVERYTHING = [
	"CREATE TABLE tabSingles (doctype varchar(140), field varchar(140), value text)",
	"INSERT INTO tabSingles VALUES ('System Settings', 'language', 'fr'), ('a', 'b', '(');",
	"CREATE TABLE __Auth (doctype varchar(140), name varchar(140), fieldname varchar(140), password text, "
	"encrypted tinyint NOT NULL DEFAULT 0, PRIMARY KEY (doctype, name, fieldname))",
	"CREATE TABLE __global_search (doctype varchar(100), name varchar(140), content text)",
	"CREATE TABLE tabDocType (name varchar(140) PRIMARY KEY)",
	"INSERT INTO tabDocType VALUES ('Order')",
	"CREATE TABLE `tab Order (old)` (name bigint PRIMARY KEY, text longtext COMMENT 'it''s; (odd)', picture longblob, "
	"double_name bigint AS (name * 2) VIRTUAL)",
	"INSERT INTO `tab Order (old)` (name, text, picture) SELECT seq, CONCAT(REPEAT(MD5(seq), 20), '),(''\\\\\\n'), "
	f"UNHEX(MD5(seq)) FROM seq_1_to_{ORDERS}",
	"CREATE SEQUENCE order_id_seq",
	"CREATE VIEW orders AS SELECT name FROM `tab Order (old)` WHERE text <> 'a;'",
	"CREATE TRIGGER on_doctype BEFORE INSERT ON tabDocType FOR EACH ROW BEGIN\nSET NEW.name = 'x'; -- don't\nEND",
	"CREATE PROCEDURE count_orders() BEGIN\nSELECT 1;\nSELECT 2; END",
	"CREATE FUNCTION one() RETURNS int RETURN 1",
	"CREATE EVENT daily ON SCHEDULE EVERY 1 DAY DO DELETE FROM tabDocType",
]
TABLES = {"tabSingles": 2, "__Auth": 0, "__global_search": 0, "tabDocType": 1, "tab Order (old)": ORDERS}
OBJECTS = {
	**{"sequences": ["order_id_seq"], "views": ["orders"], "triggers": ["on_doctype"]},
	**{"procedures": ["count_orders"], "functions": ["one"], "events": ["daily"]},
}


def read_checksums(server: Server, database: str) -> dict[str, Any]:
	"""Checksums of all tables, by name."""
	with server.session(database) as cursor:
		cursor.execute("SHOW FULL TABLES WHERE Table_type <> 'VIEW'")
		names = [name for name, _kind in cursor.fetchall()]
		cursor.execute(f"CHECKSUM TABLE {', '.join(map(quote, names))} EXTENDED")
		return dict(zip(names, (checksum for _name, checksum in cursor.fetchall()), strict=True))
