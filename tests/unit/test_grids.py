"""Grids of Desk show ten columns' width; a field beyond that is left out, or drawn over the edge."""

import json
from pathlib import Path

import pytest

import press_deploy

DOCTYPES = Path(press_deploy.__file__).parent / "press_deploy" / "doctype"
WIDTH = 10
# As Frappe has it where a field says nothing.
USUAL = {"Int": 1, "Check": 1, "Percent": 1, "Text": 3, "Small Text": 3, "Code": 3}


def read_tables():
	found = [json.loads(path.read_text()) for path in DOCTYPES.glob("*/*.json")]
	return [each for each in found if each.get("istable")]


@pytest.mark.parametrize("table", read_tables(), ids=lambda table: table["name"])
def test_every_column_of_a_grid_is_within_it(table):
	shown = [field for field in table["fields"] if field.get("in_list_view")]
	assert shown
	assert sum(field.get("columns") or USUAL.get(field["fieldtype"], 2) for field in shown) <= WIDTH
