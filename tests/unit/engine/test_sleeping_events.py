"""A dump whose events are asleep: the one word changes, wherever the pieces of the dump are parted."""

from __future__ import annotations

import pytest

from press_deploy.engine.databases.mariadb.sleeping_events import call_awake, lay_asleep, lay_asleep_in

# As mariadb-dump 10.11 writes them.
HEAD = "/*!50106 CREATE*/ /*!50117 DEFINER=`a``b`@`localhost`*/ /*!50106 EVENT"
EVENT = f"{HEAD} `%s` ON SCHEDULE EVERY 1 DAY STARTS '2026-11-23 16:34:18' ON COMPLETION NOT PRESERVE %s COMMENT ' ON COMPLETION PRESERVE ENABLE DO ' DO SELECT 1 */ ;;\n"
DATA = f"INSERT INTO `t` VALUES ('\\n{HEAD} `x` ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE ENABLE DO');\n"


def make_dump(*statuses: str, filler: int = 0) -> bytes:
	events = [EVENT % (f"e{number}\nof `` it", status) for number, status in enumerate(statuses)]
	return (
		"-- a dump\n" + DATA * (1 + filler) + "DELIMITER ;;\n".join(events) + DATA + "-- Dump completed"
	).encode()


def split(data: bytes, size: int) -> list[bytes]:
	return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 7, 100, 8191, 8192, 8193, 1 << 20])
def test_pieces_of_every_size(size: int) -> None:
	data = make_dump("ENABLE", "DISABLE ON SLAVE", "DISABLE", "ENABLE", filler=100)
	wanted = make_dump("DISABLE ON SLAVE", "DISABLE", "DISABLE", "DISABLE ON SLAVE", filler=100)
	assert b"".join(lay_asleep_in(split(data, size))) == wanted


def test_a_cut_anywhere() -> None:
	for status, laid in (
		("ENABLE", "DISABLE ON SLAVE"),
		("DISABLE ON SLAVE", "DISABLE"),
		("DISABLE", "DISABLE"),
	):
		data, wanted = make_dump(status, filler=30), make_dump(laid, filler=30)
		begin = data.index(b"\n/*!50106")
		for cut in range(begin, begin + 300):
			assert b"".join(lay_asleep_in([data[:cut], data[cut:]])) == wanted, (status, cut)


@pytest.mark.parametrize("data", [b"", b"\n", DATA.encode(), make_dump()])
def test_nothing_else_changes(data: bytes) -> None:
	assert b"".join(lay_asleep_in([data])) == data


def make_event(status: str) -> dict[str, str]:
	create = f"CREATE DEFINER=`a`@`b` EVENT `e` ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE {status} DO SELECT 1"
	return {"kind": "EVENT", "name": "e", "create": create}


@pytest.mark.parametrize(
	("status", "asleep", "live"),
	[
		("ENABLE", "DISABLE ON SLAVE", "ENABLE"),
		("DISABLE", "DISABLE", "DISABLE"),
		("DISABLE ON SLAVE", "DISABLE", "DISABLE"),
	],
)
def test_definitions(status: str, asleep: str, live: str) -> None:
	view = {"kind": "VIEW", "name": "v", "create": "CREATE VIEW v AS SELECT ' ON COMPLETION PRESERVE ENABLE'"}
	laid = lay_asleep([view, make_event(status)])
	assert laid == [view, make_event(asleep)]
	assert call_awake(laid) == [view, make_event(live)]
