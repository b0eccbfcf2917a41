"""Says what a file is that does not begin as a dump that can be proven, and what to do with it.

Invariant: nothing is proven here: each of these files is refused, whatever it is found to be.
"""

from __future__ import annotations

import re

from press_deploy.engine.databases.dumps.dump_file import DamagedFile

REWRITTEN = "write it by mariadb-dump --result-file=FILE, and copy it as binary data"
# How the files of packing programs begin that are not supported here, and of those that are, packed once more.
_PACKED = {
	b"BZh": "bzip2",
	b"\xfd7zXZ\0": "xz",
	b"PK\x03\x04": "zip",
	b"\x04\x22\x4d\x18": "lz4",
	b"7z\xbc\xaf": "7z",
	b"\x1f\x8b": "gzip",
	b"\x28\xb5\x2f\xfd": "zstd",
}
# A session key that is made of a passphrase. (RFC 4880, 5.3.)
_GPG = b"\x8c\x0d\x04"
_BYTE_ORDER_MARKS = {
	b"\xff\xfe": "UTF-16",
	b"\xfe\xff": "UTF-16",
	b"\xef\xbb\xbf": "UTF-8 with a byte order mark",
}
# What mariadb-dump and mysqldump write first where they write no comments.
_WITHOUT_COMMENTS = re.compile(
	rb"(?:/\*M?!999999\\-[^\n]*)?\s*(?:/\*M?!\d{5,6} (?:SET|DROP|CREATE|ALTER) |(?:DROP|CREATE) [A-Z]|INSERT INTO `)"
)


def refuse_encoded(head: bytes) -> None:
	"""Refuse text that is not as its program wrote it: in another encoding. Raises `DamagedFile`."""
	encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if head.startswith(mark)), None)
	if encoding:
		raise DamagedFile(
			"encoding",
			f"its text is {encoding}, as PowerShell's “>” and editors write it: a dump was changed in this way when it was "
			f"written or copied → {REWRITTEN}",
		)


def explain_unknown(head: bytes) -> DamagedFile:
	"""Why a file that begins so is refused."""
	packing = next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
	if packing:
		return DamagedFile(
			"kind", f"what is in it is packed with {packing} → unpack that, and prove what comes out"
		)
	if head.startswith(_GPG):
		return DamagedFile(
			"kind",
			"it is encrypted by gpg, as Frappe does where the System Settings say “Encrypt Backups” → decrypt it with the "
			"site's backup_encryption_key (gpg --decrypt), and prove what comes out",
		)
	if head.startswith(b"<?xml") and b"<mysqldump" in head:
		return DamagedFile("kind", "it is a dump as XML, which can't be restored → dump again without --xml")
	if _WITHOUT_COMMENTS.match(head):
		return DamagedFile(
			"closing line",
			"it has no heading, as mariadb-dump writes it, nor a closing line “-- Dump completed”: --compact and "
			"--skip-comments leave out both, and nobody can see whether it was cut off → dump again without them",
		)
	return DamagedFile(
		"kind",
		"it is no dump of a database: it does not begin as one that mariadb-dump, mysqldump, Frappe or SQLite "
		"wrote, or it is encrypted",
	)
