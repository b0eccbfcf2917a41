"""Objects that others than the site's own user made in its database, one of each kind, and how they are looked at."""

BY_ROOT = (
	"SET sql_mode = 'STRICT_ALL_TABLES', NAMES utf8mb4 COLLATE utf8mb4_unicode_ci",
	"CREATE FUNCTION twice(p INT) RETURNS INT DETERMINISTIC RETURN p * 2",
	"CREATE PROCEDURE `odd ``name`` é`(IN wanted TEXT) SQL SECURITY INVOKER COMMENT 'it''s' "
	"DELETE FROM `tabSales Invoice` WHERE name = wanted",
	"CREATE PROCEDURE elsewhere() INSERT INTO neighbour.t VALUES (1)",
	"CREATE DEFINER = ghost@nowhere FUNCTION of_ghost() RETURNS INT DETERMINISTIC RETURN 3",
	"CREATE VIEW doubled AS SELECT name, twice(total) AS total FROM `tabSales Invoice`",
	"CREATE SQL SECURITY INVOKER VIEW `the neighbour's` AS SELECT id FROM neighbour.t",
	"CREATE TRIGGER `on new` AFTER INSERT ON tabDocType FOR EACH ROW INSERT INTO neighbour.t VALUES (twice(1))",
	"CREATE EVENT awake ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE COMMENT 'x' DO CALL elsewhere()",
	"CREATE EVENT `a sleep ``é` ON SCHEDULE EVERY 1 HOUR DISABLE DO CALL elsewhere()",
	"CREATE EVENT on_another ON SCHEDULE EVERY 1 HOUR DISABLE ON SLAVE DO CALL elsewhere()",
	"CREATE DEFINER = ghost@nowhere EVENT of_ghost ON SCHEDULE EVERY 1 HOUR DO SELECT 1",
	"CREATE SEQUENCE `seq by root` START WITH 7",
	"SELECT NEXTVAL(`seq by root`)",
)
# What a release does to them, as the site's own user and as root.
RELEASE = (
	"DROP FUNCTION twice",
	"CREATE DEFINER = site_user@localhost FUNCTION twice(p INT) RETURNS INT DETERMINISTIC RETURN p * 3",
	"DROP PROCEDURE elsewhere",
	"DROP VIEW doubled",
	"DROP TRIGGER `on new`",
	"ALTER EVENT awake DISABLE",
	"ALTER EVENT `a sleep ``é` ENABLE",
	"DROP EVENT of_ghost",
	"CREATE EVENT released ON SCHEDULE EVERY 1 HOUR DO SELECT 2",
	"SELECT SETVAL(`seq by root`, 100)",
)
NO_VIEW_OF_OTHERS = "DROP VIEW `the neighbour's`"
DEFINERS = (
	"SELECT 'view', TABLE_NAME, DEFINER, SECURITY_TYPE, '' FROM information_schema.VIEWS WHERE TABLE_SCHEMA = '{0}' "
	"UNION SELECT 'trigger', TRIGGER_NAME, DEFINER, SQL_MODE, COLLATION_CONNECTION FROM information_schema.TRIGGERS "
	"WHERE TRIGGER_SCHEMA = '{0}' "
	"UNION SELECT ROUTINE_TYPE, ROUTINE_NAME, DEFINER, CONCAT(SQL_MODE, SECURITY_TYPE), COLLATION_CONNECTION "
	"FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '{0}' "
	"UNION SELECT STATUS, EVENT_NAME, DEFINER, SQL_MODE, COLLATION_CONNECTION FROM information_schema.EVENTS "
	"WHERE EVENT_SCHEMA = '{0}' ORDER BY 1, 2"
)
