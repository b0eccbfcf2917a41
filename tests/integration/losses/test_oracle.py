"""Random edits of two small databases, against an oracle in plain Python."""

from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from press_deploy.engine.databases.losses.model import ACTIONS, Losses, Named

from .conftest import MariaDBDatabases, SQLiteDatabases

# Names in pairs that MariaDB takes for one, so that a database holds one of each pair.
PAIRS = [("a", "A"), ("b", "b"), ("é", "E"), ("10", "10"), ("ß", "SS")]
TEXT = st.sampled_from([None, "", "a", "A", "a ", "ab", "b", "é", "'", "\\", "%s", "?"])
SLOT = st.integers(0, len(PAIRS) - 1)
VARIANT = st.integers(0, 1)
NAME = st.tuples(SLOT, VARIANT).map(lambda chosen: PAIRS[chosen[0]][chosen[1]])
# slot → (name, docstatus, two texts side by side)
NOTES = st.dictionaries(SLOT, st.tuples(VARIANT, st.integers(0, 2), TEXT, TEXT), max_size=5)
# name → (parent, parenttype, quantity); rows 8 and 9 belong to nothing that is there.
ITEMS = st.dictionaries(
	st.sampled_from("pqrst"),
	st.tuples(
		NAME | st.just("none"),
		st.sampled_from(["Note", "Note", "Note", "Other", "Rollback Event"]),
		st.integers(0, 2),
	),
	max_size=5,
)
SINGLES = st.lists(st.tuples(st.sampled_from(["S", "s", "T"]), st.sampled_from("fg"), TEXT), max_size=5)
KEYED = st.dictionaries(st.tuples(st.sampled_from("xy"), st.sampled_from("xy")), TEXT, max_size=4)
KEYLESS = st.lists(st.tuples(TEXT, TEXT), max_size=5)
STATE = st.fixed_dictionaries(
	{"notes": NOTES, "items": ITEMS, "singles": SINGLES, "keyed": KEYED, "keyless": KEYLESS}
)
SCHEMA = (
	"CREATE TABLE `tabNote` (name VARCHAR(140) PRIMARY KEY, docstatus INT, one VARCHAR(140), two TEXT)",
	"CREATE TABLE `tabNote Item` (name VARCHAR(140) PRIMARY KEY, parent VARCHAR(140), parenttype VARCHAR(140), qty INT)",
	"CREATE TABLE `tabSingles` (doctype VARCHAR(255), field VARCHAR(255), value TEXT)",
	"CREATE TABLE `keyed` (one VARCHAR(20), two VARCHAR(20), value TEXT, PRIMARY KEY (one, two))",
	"CREATE TABLE `keyless` (one VARCHAR(20), two TEXT)",
)


def rows_of(state):
	return {
		"tabNote": [(PAIRS[slot][note[0]], *note[1:]) for slot, note in state["notes"].items()],
		"tabNote Item": [(name, *item) for name, item in state["items"].items()],
		"tabSingles": state["singles"],
		"keyed": [(*key, value) for key, value in state["keyed"].items()],
		"keyless": state["keyless"],
	}


def foretell(before, after, ignores_case):
	"""What is lost, computed from the states alone."""
	old, new = ({row[0]: row[1:] for row in rows_of(state)["tabNote"]} for state in (before, after))
	actions = {}
	for name in old.keys() | new.keys():
		if name not in old:
			actions[name] = "created"
		elif name not in new:
			actions[name] = "deleted"
		elif old[name] != new[name]:
			statuses = (old[name][0], new[name][0])
			actions[name] = {(0, 1): "submitted", (0, 2): "cancelled", (1, 2): "cancelled"}.get(
				statuses, "changed"
			)
	# MariaDB finds a parent in other letters; the name that a document has is the one that counts.
	real = {name: name for name in sorted(old.keys() | new.keys())}
	if ignores_case:
		for pair in PAIRS:
			there = [name for name in pair if name in real]
			real |= {name: there[0] for name in pair if there and name not in real}
	orphans = 0
	for child in before["items"].keys() | after["items"].keys():
		sides = [state["items"].get(child) for state in (before, after)]
		if sides[0] == sides[1]:
			continue
		for parent, parenttype in {side[:2] for side in sides if side}:
			if parenttype == "Rollback Event":
				continue
			if parenttype == "Note" and parent in real:
				actions.setdefault(real[parent], "changed")
			else:
				orphans += 1
	documents = {}
	for action in ACTIONS:
		names = sorted(name for name, found in actions.items() if found == action)
		if names:
			documents.setdefault("Note", {})[action] = Named(len(names), tuple(names))
	keyed = sum(
		before["keyed"].get(k, ()) != after["keyed"].get(k, ()) for k in {*before["keyed"], *after["keyed"]}
	)
	others = {"keyed": keyed, "keyless": count_keyless(before, after), "tabNote Item": orphans}
	singles = {
		row[0] for row in {*before["singles"], *after["singles"]}
		if before["singles"].count(row) != after["singles"].count(row)
	}  # fmt: skip
	return Losses(documents, tuple(sorted(singles)), {table: rows for table, rows in others.items() if rows})


def count_keyless(before, after):
	rows = {*before["keyless"], *after["keyless"]}
	more = [after["keyless"].count(row) - before["keyless"].count(row) for row in rows]
	return max(sum(number for number in more if number > 0), -sum(number for number in more if number < 0))


def check(databases, before, after):
	fill(databases, databases.before, before)
	fill(databases, databases.after, after)
	found = databases.find()
	assert replace(found, content="") == foretell(before, after, databases.ignores_case)
	assert bool(found.content) is not found.is_empty
	assert Losses.from_data(found.as_data()).sha256 == found.sha256
	return found


def fill(databases, database, state):
	for table, rows in rows_of(state).items():
		databases.execute(database, f"DELETE FROM `{table}`")
		databases.insert(database, table, rows)


def check_content(databases, before, after, other):
	"""Two lists have one hash when, and only when, the live rows behind them are the same."""
	first = check(databases, before, after)
	fill(databases, databases.after, other)
	second = databases.find()
	same = lost_rows(before, after) == lost_rows(before, other)
	assert (first.content == second.content) is (first.sha256 == second.sha256) is same


def lost_rows(before, after):
	"""What stands in the live database, without child rows that were and are of our own DocTypes."""
	ours = {
		name
		for name in before["items"].keys() | after["items"].keys()
		if all(name not in state["items"] or is_ours(state["items"][name]) for state in (before, after))
	}
	rows = rows_of(after)
	rows["tabNote Item"] = [row for row in rows["tabNote Item"] if row[0] not in ours]
	return {table: Counter(found) for table, found in rows.items()}


def is_ours(item):
	return item[1] == "Rollback Event"


# Edited, not made anew: most rows are the same on both sides, as in life.
STATES = st.tuples(STATE, STATE, st.lists(st.sampled_from(["notes", "items", "singles", "keyed", "keyless"])))


def mix(drawn):
	before, other, kept = drawn
	after = {}
	for part, value in before.items():
		if isinstance(value, dict):
			after[part] = {**value, **dict(list(other[part].items())[:2])}
			if part not in kept:
				after[part] = dict(list(after[part].items())[1:])
		else:
			after[part] = value[1:] + other[part] if part not in kept else value[::-1]
	return before, after


def shuffle(state):
	"""The same rows, written in another order."""
	return {
		part: dict(list(rows.items())[::-1]) if isinstance(rows, dict) else rows[::-1]
		for part, rows in state.items()
	}


def one_part(state, other):
	"""The state with the rows of one kind from another."""
	part = next((name for name in state if state[name] and other[name]), "keyless")
	return {**state, part: other[part]}


@pytest.fixture(scope="module")
def on_mariadb(server):
	with closing(MariaDBDatabases(server)) as databases:
		databases.both(*(f"{statement} COLLATE utf8mb4_unicode_ci" for statement in SCHEMA))
		yield databases


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory):
	databases = SQLiteDatabases(tmp_path_factory.mktemp("oracle"))
	databases.both("PRAGMA journal_mode = WAL", *SCHEMA)
	return databases


BUDGET = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
HALF = settings(BUDGET, max_examples=50)


@BUDGET
@given(STATES.map(mix))
def test_mariadb_finds_what_the_oracle_says(on_mariadb, states):
	check(on_mariadb, *states)


@BUDGET
@given(STATES.map(mix))
def test_sqlite_finds_what_the_oracle_says(on_sqlite, states):
	check(on_sqlite, *states)


@HALF
@given(STATES.map(mix), STATE, st.booleans())
def test_mariadb_tells_every_content_apart(on_mariadb, states, other, again):
	check_content(on_mariadb, *states, shuffle(states[1]) if again else one_part(states[1], other))


@HALF
@given(STATES.map(mix), STATE, st.booleans())
def test_sqlite_tells_every_content_apart(on_sqlite, states, other, again):
	check_content(on_sqlite, *states, shuffle(states[1]) if again else one_part(states[1], other))
