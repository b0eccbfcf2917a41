"""Cells of a spreadsheet, and names of files: nothing that a user typed has an effect."""

import datetime
import decimal
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from press_deploy.engine.databases.losses.concealing import as_plain
from press_deploy.engine.databases.losses.export import as_cell, name_file


@pytest.mark.parametrize(
	"value",
	["=1+1", "+1", "-cmd|' /C calc'!A0", "@SUM(A1)", "\ta", "\ra", "\na", "-", "-1-1", "-1.", "＝1"],
)
def test_a_formula_is_no_formula_any_more(value):
	assert as_cell(value) == f"'{value}"


@pytest.mark.parametrize("separator", [";", "\t", "\r", "\n", '";', "a\r\n;"])
@pytest.mark.parametrize("formula", ["=1", "+1", "-1", "@A1", "＝1"])
def test_no_formula_begins_in_the_middle_where_cells_are_separated_otherwise(separator, formula):
	cell = as_cell(f"hello{separator}{formula}")
	assert cell == f"hello{separator}'{formula}"
	row = f'"created","n",{chr(34)}{cell.replace(chr(34), chr(34) * 2)}{chr(34)}'
	found = [part for part in re.split(r"[;\t\r\n]", row) if part.lstrip('"').startswith(formula[0])]
	assert not found


@pytest.mark.parametrize(
	"value", ["", "text", "a;b", "a;1-1", "a - b", "-5", "-12.500000000", "1=1", -5, None, 1.5]
)
def test_other_cells_stay(value):
	assert as_cell(value) == value


@pytest.mark.parametrize(
	("value", "plain"),
	[
		(None, None),
		(5, 5),
		(1.5, 1.5),
		(float("inf"), "inf"),
		(decimal.Decimal("1.500000000"), "1.500000000"),
		(b"\x00\xff", "00ff"),
		(datetime.datetime(2024, 5, 6, 7, 8, 9, 10), "2024-05-06 07:08:09.000010"),
		(datetime.date(2024, 5, 6), "2024-05-06"),
		(datetime.timedelta(hours=5), "05:00:00"),
		(-datetime.timedelta(hours=838, minutes=59, seconds=59), "-838:59:59"),
		(-datetime.timedelta(microseconds=1), "-00:00:00.000001"),
		(datetime.timedelta(hours=25, microseconds=1), "25:00:00.000001"),
	],
)
def test_values_become_plain(value, plain):
	assert as_plain(value) == plain


@given(st.lists(st.text(min_size=1), unique=True, min_size=2))
def test_each_doctype_has_a_file_of_its_own(doctypes):
	names = [name_file(doctype) for doctype in doctypes]
	assert len(set(names)) == len(names)
	assert all("/" not in name and not name.startswith(".") and len(name.encode()) <= 240 for name in names)


def test_plain_names_stay():
	assert name_file("Sales Invoice") == "Sales Invoice.csv"
	assert name_file("../../etc/passwd").strip(string.ascii_letters + string.digits + "_-.") == ""
	assert name_file("settings") != "settings.csv"
