"""A database with what Frappe's tables have, and with what a physical backup could stumble over."""

from __future__ import annotations

UNICODE = "ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
EVERYTHING = (
	f"CREATE TABLE tabUser (name varchar(140) PRIMARY KEY, modified datetime(6), note longtext, "
	f"KEY modified (modified)) ROW_FORMAT=DYNAMIC {UNICODE}",
	"INSERT INTO tabUser SELECT CONCAT('user-', seq), '2026-01-01', REPEAT('texte é ', seq % 60) FROM seq_1_to_3000",
	f"CREATE TABLE `tabSales Invoice` (name bigint PRIMARY KEY AUTO_INCREMENT, who varchar(140) DEFAULT 'it''s 10%s', "
	f"CONSTRAINT of_user FOREIGN KEY (who) REFERENCES tabUser (name)) {UNICODE}",
	"INSERT INTO `tabSales Invoice` (who) SELECT CONCAT('user-', seq) FROM seq_1_to_300",
	f"CREATE TABLE compressed (id int PRIMARY KEY, note text) ROW_FORMAT=COMPRESSED {UNICODE}",
	"INSERT INTO compressed SELECT seq, MD5(seq) FROM seq_1_to_500",
	f"CREATE TABLE compact (id int PRIMARY KEY, note text) ROW_FORMAT=COMPACT {UNICODE}",
	"INSERT INTO compact SELECT seq, MD5(seq) FROM seq_1_to_100",
	# What migrations do: the server changes the definition alone, the rows stay as they are.
	f"CREATE TABLE migrated (id int PRIMARY KEY, old int, kept int) {UNICODE}",
	"INSERT INTO migrated SELECT seq, seq, seq FROM seq_1_to_200",
	"ALTER TABLE migrated ADD COLUMN added varchar(20) DEFAULT 'new' AFTER id, ALGORITHM=INSTANT",
	"ALTER TABLE migrated DROP COLUMN old, ALGORITHM=INSTANT",
	"INSERT INTO migrated VALUES (1000, 'later', 1)",
	f"CREATE TABLE searched_before (id int PRIMARY KEY, note text, FULLTEXT (note)) {UNICODE}",
	"INSERT INTO searched_before VALUES (1, 'words')",
	"ALTER TABLE searched_before DROP INDEX note",
	f"CREATE TABLE versioned (id int PRIMARY KEY, value int) {UNICODE} WITH SYSTEM VERSIONING",
	"INSERT INTO versioned VALUES (1, 1)",
	"UPDATE versioned SET value = 2",
	f"CREATE TABLE generated (id int PRIMARY KEY, twice int AS (id * 2) VIRTUAL, KEY (twice)) {UNICODE}",
	"INSERT INTO generated (id) VALUES (1), (2)",
	f"CREATE TABLE `tab100%s \"quoted\"/é` (`a%s` int COMMENT 'it''s') {UNICODE}",
	'INSERT INTO `tab100%s "quoted"/é` VALUES (1)',
	# The rest can't be imported.
	f"CREATE TABLE __global_search (doctype varchar(100), name varchar(140), content text, FULLTEXT (content), "
	f"UNIQUE doctype_name (doctype, name)) {UNICODE}",
	"INSERT INTO __global_search SELECT 'User', seq, CONCAT('hello words ', seq) FROM seq_1_to_200",
	"CREATE SEQUENCE web_id_seq CACHE 100",
	"SELECT NEXTVAL(web_id_seq)",
	f"CREATE TABLE partitioned (id int PRIMARY KEY) {UNICODE} PARTITION BY HASH (id) PARTITIONS 3",
	"INSERT INTO partitioned SELECT seq FROM seq_1_to_50",
	"CREATE TABLE myisam (id int PRIMARY KEY) ENGINE=MyISAM",
	"INSERT INTO myisam VALUES (1), (2)",
	"CREATE TABLE aria (id int PRIMARY KEY) ENGINE=Aria",
	"INSERT INTO aria VALUES (1), (2)",
	# Objects; the view that uses the other comes first by name.
	"CREATE TABLE written (id int PRIMARY KEY AUTO_INCREMENT, name varchar(140))",
	"ALTER TABLE written AUTO_INCREMENT = 5000",
	"CREATE FUNCTION add_one(a int) RETURNS int DETERMINISTIC RETURN a + 1",
	"CREATE PROCEDURE count_users() SELECT COUNT(*) FROM tabUser",
	"CREATE VIEW z_users AS SELECT name FROM tabUser WHERE add_one(1) = 2",
	"CREATE VIEW a_users AS SELECT COUNT(*) AS users FROM z_users",
	"CREATE TRIGGER on_search AFTER INSERT ON __global_search FOR EACH ROW INSERT INTO written (name) VALUES (NEW.name)",
	"CREATE TRIGGER on_user AFTER INSERT ON tabUser FOR EACH ROW INSERT INTO written (name) VALUES (NEW.name)",
	"CREATE EVENT forget ON SCHEDULE EVERY 1 DAY DO DELETE FROM written",
)
# Those that are loaded as SQL; the triggers must not fire meanwhile.
LOGICAL = ["__global_search", "aria", "myisam", "partitioned", "web_id_seq"]
