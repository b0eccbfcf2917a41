"""What the client programs say is told in our words, and without the data that they repeat."""

from __future__ import annotations

import io

import pytest

from press_deploy.engine.databases.mariadb.client_errors import READ_BYTES, read_words, translate_client_error

REPEATED = "--------------\nINSERT INTO a VALUES ('geheim (1045)\nERROR 12 ')\n--------------\n\n"


@pytest.mark.parametrize(
	"words,meaning",
	[
		(REPEATED + "ERROR 1114 (HY000) at line 3: The table 'a' is full\n", "the server's disk is full"),
		(
			"ERROR 1021 (HY000) at line 3: Disk full (/tmp/x); waiting (errno: 28)\n",
			"the server's disk is full",
		),
		(REPEATED + "ERROR 2013 (HY000) at line 3: Lost connection to server during query\n", "gone away"),
		(
			'ERROR 1180 (HY000) at line 41: Got error 1 "Operation not permitted" during COMMIT\n',
			"disk is full",
		),
		("ERROR 2006 (HY000) at line 3: Server has gone away\n", "gone away"),
		("ERROR 2002 (HY000): Can't connect to local server through socket '/x' (2)\n", "can't be reached"),
		("ERROR 1045 (28000): Access denied for user 'a'@'localhost' (using password: YES)\n", "is refused"),
		('mariadb-dump: Got error: 1045: "Access denied for user" when trying to connect\n', "is refused"),
		(
			"mariadb-dump: Got error: 1049: \"Unknown database 'x'\" when selecting the database\n",
			"not exist",
		),
		(
			"mariadb-dump: Error 2013: Lost connection to server during query when dumping table `a` at row: 5\n",
			"gone",
		),
		(
			"mariadb-dump: Couldn't execute 'SHOW CREATE (x)': Table 'b' doesn't exist (1146)\n",
			"a table does not",
		),
		(
			"ERROR 1273 (HY000) at line 1: Unknown collation: 'utf8mb4_0900_ai_ci'\n",
			"another kind or version",
		),
		(
			"ERROR 1227 (42000) at line 9: Access denied; you need (at least one of) the SUPER privilege(s)\n",
			"rights",
		),
		(
			"ERROR 1153 (08S01) at line 9: Got a packet bigger than 'max_allowed_packet' bytes\n",
			"larger than",
		),
		(
			"ERROR 1064 (42000) at line 1: You have an error near 'geheim' at line 1\n",
			"another kind or version",
		),
		(
			REPEATED + "ERROR 1062 (23000) at line 1: Duplicate entry 'geheim' for key 'PRIMARY'\n",
			"exit status 1",
		),
		("ERROR 1366 (22007) at line 1: Incorrect integer value: 'geheim' for column\n", "exit status 1"),
		("", "it said nothing"),
		(REPEATED, "it said nothing"),
	],
)
def test_what_it_means(words: str, meaning: str) -> None:
	error = translate_client_error("Loading", "x", "mariadb", 1, words)
	assert meaning in error.why and error.remedy
	assert "geheim" not in str(error) and "\n" not in error.why


def test_a_signal_is_said() -> None:
	assert "was ended by signal 9" in translate_client_error("Loading", "x", "mariadb", -9, "").why


def test_of_a_large_statement_only_the_end_is_read() -> None:
	error = "ERROR 1114 (HY000) at line 3: The table 'a' is full\n"
	errors = io.BytesIO(("--------------\n" + "geheim" * 9000 + "\n--------------\n\n" + error).encode())
	words = read_words(errors)
	assert len(words) == READ_BYTES and words.endswith(error)
	assert "geheim" not in str(translate_client_error("Loading", "x", "mariadb", 1, words))
	assert read_words(io.BytesIO(error.encode())) == error
