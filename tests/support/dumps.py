"""Dumps as `mariadb-dump` writes them, and the ways in which a file of one can be broken."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from dataclasses import dataclass

import zstandard

SERVER_VERSION = "10.11.6-MariaDB-0+deb12u1"
FRAPPE_HEAD = (
	"-- begin frappe metadata\n-- [frappe]\n-- version = {version}\n-- branch = version-15\n"
	"-- end frappe metadata\n-- \n"
)
CLOSING = "-- Dump completed on 2030-01-01  3:00:00\n"


def write_dump(
	tables: dict[str, int] | None = None,
	*,
	database: str = "shop",
	server_version: str = SERVER_VERSION,
	frappe_version: str | None = None,
	extra: str = "",
) -> bytes:
	"""The SQL of a dump of tables with so many rows each; `extra` stands after the tables."""
	head = FRAPPE_HEAD.format(version=frappe_version) if frappe_version else ""
	head += (
		"/*M!999999\\- enable the sandbox mode */ \n"
		"-- MariaDB dump 10.19  Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)\n--\n"
		f"-- Host: localhost    Database: {database}\n"
		"-- ------------------------------------------------------\n"
		f"-- Server version\t{server_version}\n\n"
		"/*!40101 SET NAMES utf8mb4 */;\n"
		"/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;\n\n"
	)
	wanted = {"tabOrder": 3000, "tabNote": 0} if tables is None else tables
	body = "".join(_write_table(name, rows) for name, rows in wanted.items())
	return f"{head}{body}{extra}{CLOSING}".encode()


def _write_table(name: str, rows: int) -> str:
	quoted = name.replace("`", "``")
	values = ",\n".join(f"({row},'it\\'s ({row * 7919 % 10007}); \\\\')" for row in range(rows))
	insert = f"INSERT INTO `{quoted}` VALUES\n{values};\n" if rows else ""
	return (
		f"--\n-- Table structure for table `{quoted}`\n--\n\nDROP TABLE IF EXISTS `{quoted}`;\n"
		f"CREATE TABLE `{quoted}` (\n  `name` bigint(20) NOT NULL,\n"
		"  `text` varchar(140) DEFAULT NULL COMMENT 'a; (b)',\n  PRIMARY KEY (`name`)\n"
		") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n\n"
		f"LOCK TABLES `{quoted}` WRITE;\n/*!40000 ALTER TABLE `{quoted}` DISABLE KEYS */;\n{insert}"
		f"/*!40000 ALTER TABLE `{quoted}` ENABLE KEYS */;\nUNLOCK TABLES;\n\n"
	)


def pack_gzip(content: bytes) -> bytes:
	return gzip.compress(content, mtime=0)


def pack_zstd(content: bytes) -> bytes:
	return zstandard.ZstdCompressor(write_checksum=True).compress(content)


def flip(content: bytes, place: int) -> bytes:
	"""The same with one bit changed."""
	return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


PACKINGS: dict[str, Callable[[bytes], bytes]] = {"gzip": pack_gzip, "zstd": pack_zstd, "plain": bytes}


@dataclass(frozen=True)
class Broken:
	"""A file that is refused: by which check, and with which words."""

	content: bytes
	check: str
	words: str


def make_broken(dump: bytes, pack: Callable[[bytes], bytes], packing: str) -> dict[str, Broken]:
	"""Every way in which the file of a dump can be broken, by what happened to it."""
	between = dump[: dump.index(b"/*!40000 ALTER TABLE `tabOrder` ENABLE")]
	inside = dump[: dump.index(b"INSERT INTO") + 500]
	cut = "it was cut off between two statements"
	broken = {
		"cut off between two statements": Broken(pack(between), "closing line", cut),
		"cut off inside a statement": Broken(
			pack(inside), "closing line", "in the middle of a statement that fills table tabOrder"
		),
		"cut off inside its closing line": Broken(pack(dump[:-5]), "closing line", cut),
		"cut off inside a trigger": Broken(
			pack(dump[: -len(CLOSING)] + b"DELIMITER ;;\nCREATE TRIGGER t\n"),
			"closing line",
			"in the middle of a statement",
		),
		"empty": Broken(b"", "size", "it is empty"),
		"not a dump": Broken(pack(b"<html>503</html>\n" * 300), "kind", "no dump of a database"),
		"another site's": Broken(pack(dump.replace(b"Database: shop", b"Database: bar")), "database", "bar"),
		"of a newer server": Broken(
			pack(dump.replace(b"10.11.6-MariaDB-0", b"99.1.2-MariaDB-0")),
			"server version",
			"newer than the server",
		),
		"of a newer Frappe": Broken(
			pack(dump.replace(b"-- version = 15.2.0", b"-- version = 99.0.1")), "Frappe version", "99.0.1"
		),
		"a partial backup": Broken(
			pack(dump.replace(b"-- end frappe", b"-- Partial Backup of Frappe Site a\n-- end frappe")),
			"completeness",
			"partial",
		),
		"two dumps in one": Broken(pack(dump + dump), "closing line", "more statements follow"),
	}
	return broken if packing == "plain" else {**broken, **_break_packing(dump, pack, packing)}


def _break_packing(dump: bytes, pack: Callable[[bytes], bytes], packing: str) -> dict[str, Broken]:
	whole = pack(dump)
	return {
		"cut off inside the packed stream": Broken(whole[:-3000], "compression", "ends too early"),
		"cut off in the checksum": Broken(whole[:-2], "compression", "ends too early"),
		"a changed byte": Broken(flip(whole, len(whole) // 2), "compression", "damaged"),
		"a changed byte in the checksum": Broken(
			flip(whole, len(whole) - (7 if packing == "gzip" else 2)), "compression", "damaged"
		),
		"something behind it": Broken(whole + b"rubbish", "compression", "something that is not part of it"),
		"NUL bytes behind it": Broken(whole + bytes(9), "compression", "something that is not part of it"),
		"a packed stream of nothing": Broken(pack(b""), "size", "of nothing"),
	}


def random_bytes(size: int, seed: int = 1) -> bytes:
	return random.Random(seed).randbytes(size)
