"""What differs between two databases without anybody missing it, each with the reason.

Invariant: whatever is not named here is listed.
"""

from __future__ import annotations

from collections.abc import Mapping

# Their rows are counted apart and stand in no approval: on a site at work they change all the time.
NOISE = {
	"tabSessions": "sessions: users log in again",
	"__UserSettings": "how users last saw their lists",
	"__global_search": "an index, filled from the documents",
	"tabError Log": "a log",
	"tabError Snapshot": "a log",
	"tabScheduled Job Log": "a log",
	"tabActivity Log": "a log",
	"tabAccess Log": "a log",
	"tabView Log": "a log",
	"tabConsole Log": "a log",
	"tabWebhook Request Log": "a log",
	"tabRoute History": "where users have been",
	"tabWeb Page View": "visits of the website",
	"tabVersion": "history of documents, which are listed themselves",
	"tabNotification Log": "notices about documents, which are listed themselves",
	"tabEmail Queue": "outgoing mail: what was sent stays sent",
	"tabPrepared Report": "results of reports, which can be made again",
	"tabDefaultValue": "defaults, copied from settings, which are listed themselves",
	"tabPatch Log": "which patches ran: goes back with what they did",
	"tabOAuth Bearer Token": "sessions of programs, which log in again",
}

# Written whenever somebody looks or something runs: a document that differs in nothing else is unchanged.
UNREAD_COLUMNS = {
	"": {"_seen"},
	"tabUser": {"last_active", "last_login", "last_ip", "last_known_versions"},
	"tabScheduled Job Type": {"last_execution"},
}

# Projected again from the journals after the rollback, their child rows with them.
OWN_DOCTYPES = frozenset({"Deployment Run", "Deployment Backup", "Rollback Event"})

# It has names and is no DocType.
NOT_DOCTYPES = frozenset({"tabSeries", "tabSingles"})


# Nobody enters them again, nor could: the rows that they stand in say whose they were.
REPLACED_SECRETS = {
	"__Auth.password": "a hash; the user sets another password (see `is_replaced`)",
	"tabUser.reset_password_key": "a link in a mail; another one is asked for",
}


def is_replaced(place: str, row: Mapping[str, object]) -> bool:
	"""Whether nobody misses a secret; `place` is “table.column”. Only hashed passwords aren't `encrypted`."""
	return place in REPLACED_SECRETS and not row.get("encrypted")


def unread_columns(table: str) -> set[str]:
	"""The columns of a table that are not compared."""
	return UNREAD_COLUMNS[""] | UNREAD_COLUMNS.get(table, set())
