"""The list of losses: equal content gives equal bytes, the hash is over what is shown and the rows behind it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from press_deploy.engine.databases.losses.model import ACTIONS, Losses, Named
from press_deploy.engine.ground.errors import InputError

INVOICES = {"created": Named(3, ("SI-1", "SI-2", "SI-3")), "submitted": Named(1, ("SI-0",))}
LOSSES = Losses(
	{"Company": {"changed": Named(2, ("A", "B"))}, "Sales Invoice": INVOICES},
	("System Settings",),
	{"__Auth": 1, "tabSeries": 2},
	{"tabVersion": (5, 9)},
	"c0" * 32,
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
COUNTS = st.integers(0, 10**9)
NAMED = st.builds(Named, COUNTS, st.lists(NAMES, max_size=3).map(lambda names: tuple(sorted(names))))
ANY_LOSSES = st.builds(
	Losses,
	st.dictionaries(NAMES, st.dictionaries(st.sampled_from(ACTIONS), NAMED, min_size=1), max_size=3),
	st.lists(NAMES, unique=True, max_size=3).map(lambda names: tuple(sorted(names))),
	st.dictionaries(NAMES, COUNTS, max_size=3),
	st.dictionaries(NAMES, st.tuples(COUNTS, COUNTS), max_size=3),
	st.sampled_from(["", "c0" * 32]),
)


def test_one_line_says_it():
	assert LOSSES.describe() == (
		"2 Companies changed; 3 Sales Invoices created, 1 submitted; settings changed in 1 DocType; "
		"3 rows of 2 other tables"
	)
	assert Losses().describe() == "nothing" and Losses().is_empty and LOSSES.total == 10


@pytest.mark.parametrize(
	("doctype", "plural"),
	[("Address", "Addresses"), ("Day", "Days"), ("Box", "Boxes"), ("Series", "Series"), ("ToDo", "ToDos")],
)
def test_plurals(doctype, plural):
	assert Losses({doctype: {"created": Named(2)}}).describe() == f"2 {plural} created"
	assert Losses({doctype: {"created": Named(1)}}).describe() == f"1 {doctype} created"


def test_many_doctypes_stay_on_one_line():
	losses = Losses({f"Kind {number}": {"created": Named(1)} for number in range(9)})
	assert losses.describe().endswith("; documents of 4 more DocTypes")


def test_lines_name_documents():
	losses = Losses({"ToDo": {"deleted": Named(1200, ("A", "B"))}}, ("Website Settings",), {"__Auth": 1})
	assert losses.lines() == [
		"ToDo: 1,200 deleted: A, B and 1,198 more",
		"Settings changed: Website Settings",
		"Table __Auth: 1 row different",
	]


def test_what_is_not_listed_is_mentioned_in_one_line():
	losses = Losses(noise={"__UserSettings": (0, 1), "tabEmail Queue": (5, 1205), "tabVersion\x1b": (2, 1)})
	said = losses.describe_noise()
	assert said.startswith("Not listed, as no user's work") and said.isprintable()
	assert said.endswith(r"__UserSettings +1, Email Queue +1,200, 'Version\x1b' -1"), said
	assert Losses().describe_noise() == ""


def test_a_name_moves_no_cursor():
	losses = Losses({"A\x1b[2J": {"created": Named(1, ("evil\x1b]0;x\x07\nname",))}}, ("B\r",), {"t\n": 1})
	text = "".join([losses.describe(), *losses.lines()])
	assert text.isprintable()


@given(ANY_LOSSES)
def test_losses_come_back_from_their_data(losses):
	again = Losses.from_data(json.loads(json.dumps(losses.as_data())))
	assert again == losses and again.sha256 == losses.sha256


def test_the_hash_is_over_what_is_shown_and_the_content_behind_it():
	same = replace(LOSSES, noise={"tabVersion": (1, 2)})
	assert same.sha256 == LOSSES.sha256
	others = [
		Losses(),
		*(
			replace(LOSSES, documents={**LOSSES.documents, doctype: {action: named}})
			for doctype, action, named in [
				("ToDo", "created", Named(1, ("T",))),
				("Company", "changed", Named(2, ("A", "C"))),
				("Company", "changed", Named(3, ("A", "B"))),
				("Company", "deleted", Named(2, ("A", "B"))),
			]
		),
		replace(LOSSES, singles=()),
		replace(LOSSES, other_tables={"__Auth": 1, "tabSeries": 3}),
		replace(LOSSES, content="c1" * 32),
	]
	assert len({losses.sha256 for losses in [LOSSES, *others]}) == len(others) + 1


@pytest.mark.parametrize(
	"data",
	[
		None,
		[],
		{},
		{**LOSSES.as_data(), "schema_version": 1},
		{**LOSSES.as_data(), "content": 7},
		{**LOSSES.as_data(), "documents": {"ToDo": {"eaten": {"count": 1, "names": []}}}},
		{**LOSSES.as_data(), "documents": {"ToDo": {"created": {"count": "1", "names": []}}}},
		{**LOSSES.as_data(), "documents": {"ToDo": {"created": {"count": -1, "names": []}}}},
		{**LOSSES.as_data(), "documents": {"ToDo": {"created": {"count": 1, "names": [1]}}}},
		{**LOSSES.as_data(), "other_tables": {"t": True}},
		{**LOSSES.as_data(), "noise": {"t": [1]}},
	],
)
def test_what_is_no_list_is_refused(data):
	with pytest.raises(InputError, match="no list of losses"):
		Losses.from_data(data)
