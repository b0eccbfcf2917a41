"""Names and tags: what the providers allow, and never the same for two runs or volumes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from press_deploy.engine.snapshots import names

RUNS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,63}", fullmatch=True)
PLANS = st.text(max_size=400)


@given(RUNS, st.text(max_size=80))
def test_a_name_is_one_that_every_provider_allows(run, volume):
	name = names.name_snapshot(run, volume)
	assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name)
	assert name == names.name_snapshot(run, volume) != names.name_snapshot(run, volume + "x")


def test_long_runs_that_differ_at_the_end_have_different_names():
	assert names.name_snapshot("a" * 63 + "b", "v") != names.name_snapshot("a" * 63 + "c", "v")


@pytest.mark.parametrize("run", ["", "A", "-a", "a/b", "a\n", "a" * 65])
def test_what_is_no_run_has_no_name(run):
	with pytest.raises(ValueError, match="run name"):
		names.name_snapshot(run, "v")


@given(RUNS, PLANS)
def test_tags_are_allowed_and_the_run_is_exact_where_it_is_searched_for(run, plan):
	tags = {"run": run, "plan": plan}
	aws = {tag["Key"]: tag["Value"] for tag in names.aws_tags(tags, "name")}
	assert aws[names.RUN_TAG] == run
	assert all(re.fullmatch(r"[\w +=.:/@-]{1,256}", value) for value in aws.values())
	assert all(re.fullmatch(r"[a-z0-9_-]{1,63}", value) for value in names.gcp_labels(tags).values())
	assert all(re.fullmatch(r"[A-Za-z0-9:_-]{1,255}", tag) for tag in names.digitalocean_tags(tags))


def test_two_plans_that_look_alike_once_cleaned_stay_apart():
	first, second = (names.gcp_labels({"run": "r", "plan": plan}) for plan in ("Plan 1!", "Plan 1?"))
	assert first != second
