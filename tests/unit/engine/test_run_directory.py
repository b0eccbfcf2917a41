"""A run on disk: names that cannot lead elsewhere, files for their owner alone."""

import json
import os

import pytest

from press_deploy.engine.ground import inputs
from press_deploy.engine.ground.canonical import canonical_json
from press_deploy.engine.ground.errors import InputError, JournalDamaged
from press_deploy.engine.journal.run_directory import RunDirectory, list_runs
from press_deploy.engine.plan.spec import PLAN_SIZE_LIMIT

from .support import HOSTILE_TEXT, SITE, make_bench, make_spec


@pytest.fixture
def bench(tmp_path):
	return make_bench(tmp_path / "bench")


@pytest.mark.parametrize(
	"title", ["Press v16", "../../x", "; rm -rf /", "$(id)", "é", "…", "x" * 140, "-x", "A/B"]
)
def test_any_title_makes_a_harmless_name(bench, title):
	run = RunDirectory.create(bench, make_spec(title=title))
	assert inputs.run_name(run.name) == run.name and run.path.parent == bench / "deployments"
	assert RunDirectory.open(bench, run.name).read_plan().title == title


def test_everything_is_for_its_owner_alone(bench):
	previous = os.umask(0)
	try:
		run = RunDirectory.create(bench, make_spec())
		run.save_private("former.json", {"a": 1})
	finally:
		os.umask(previous)
	for place in (bench / "deployments", run.path, *run.path.rglob("*")):
		assert place.stat().st_mode & 0o077 == 0, place


@pytest.mark.parametrize(
	"name",
	[*HOSTILE_TEXT, None, 1, ["a"], "A", "20990101-000000-none-0000", "../deployments"],
	ids=lambda v: repr(v)[:20],
)
def test_a_name_that_is_wrong_or_unknown_is_refused(bench, name):
	RunDirectory.create(bench, make_spec())
	with pytest.raises(InputError) as caught:
		RunDirectory.open(bench, name)
	assert caught.value.field == "run" and caught.value.remedy


def test_an_unknown_run_is_answered_with_known_ones(bench):
	run = RunDirectory.create(bench, make_spec())
	with pytest.raises(InputError, match=run.name):
		RunDirectory.open(bench, "other")


def test_the_plan_is_compared_with_the_hash_that_the_run_began_with(bench):
	spec = make_spec()
	run = RunDirectory.create(bench, spec)
	run.check_plan(run.read_plan(), spec.sha256)
	data = json.loads(run.plan.read_text())
	run.plan.write_text(json.dumps({**data, "title": "Other"}))
	with pytest.raises(JournalDamaged, match="not the plan"):
		run.check_plan(run.read_plan(), spec.sha256)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"{}", b"\xff", b"[" * 100_000])
def test_a_broken_plan_is_no_plan(bench, content):
	run = RunDirectory.create(bench, make_spec())
	run.plan.write_bytes(content)
	with pytest.raises(InputError):
		run.read_plan()


def test_what_a_plan_names_is_read_without_its_models(bench):
	run = RunDirectory.create(bench, make_spec(title="A release"))
	names = run.read_names()
	assert (names.title, names.sites) == ("A release", [SITE])
	assert names.apps == [app.name for app in run.read_plan().apps]


@pytest.mark.parametrize(
	"content", ["", "[]", "[" * 100_000, "{}", '{"title": "x", "sites": [{}], "apps": []}']
)
def test_what_names_nothing_is_refused(bench, content):
	run = RunDirectory.create(bench, make_spec())
	run.plan.write_text(content)
	with pytest.raises(InputError, match="put the original file back"):
		run.read_names()


def test_a_plan_that_was_accepted_can_be_read_again(bench):
	checks = [{"kind": "console", "name": "a", "code": "x" * 4_900} for _number in range(199)]
	spec = make_spec(
		smoke_tests=checks, sites=[{"name": SITE}, *({"name": f"s{number}"} for number in range(499))]
	)
	assert len(canonical_json(spec.as_data())) < PLAN_SIZE_LIMIT * 1.1
	assert RunDirectory.create(bench, spec).read_plan() == spec
	assert RunDirectory.create(bench, spec).plan.stat().st_size > PLAN_SIZE_LIMIT


def test_runs_are_listed_oldest_first_and_nothing_else_is(bench):
	assert list_runs(bench) == []
	runs = [RunDirectory.create(bench, make_spec(title=title)) for title in "abc"]
	(bench / "deployments" / "empty").mkdir()
	(bench / "deployments" / "lock.json").write_text("")
	(bench / "deployments" / "link").symlink_to(runs[0].path)
	assert [run.name for run in list_runs(bench)] == sorted(run.name for run in runs)
