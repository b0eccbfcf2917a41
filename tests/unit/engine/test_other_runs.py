"""Preflight's look at other runs of the bench: a site reads no name of a run that another site controls."""

from types import SimpleNamespace

import pytest

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.journal.journal import Journal
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.steps.preflight.machine import check_other_runs

from .support import make_bench, make_spec


@pytest.fixture
def look(tmp_path):
	"""What a run of `site` finds beside unfinished runs of `others`."""
	bench = Bench(make_bench(tmp_path / "bench"))

	def look(site, *others):
		for other in others:
			run = RunDirectory.create(bench.path, make_spec(title=f"of {other}", control_site=other))
			journal = Journal(run.journal)
			journal.append("run-created", {"plan_sha256": "x", "run": run.name})
			journal.close()
		spec = make_spec(control_site=site)
		(check,) = check_other_runs(SimpleNamespace(bench=bench, spec=spec, name="this"), None)
		# The directory of this test is called after it.
		return check.outcome, f"{check.found} {check.remedy}".replace(str(tmp_path), "")

	return look


def test_one_of_the_same_site_is_named(look):
	outcome, said = look("a.example", "a.example")
	assert outcome == "failed" and "of-a-example" in said


@pytest.mark.parametrize("other", ["b.example", None])
def test_one_of_another_site_is_not(look, other):
	outcome, said = look("a.example", other)
	assert outcome == "failed" and "busy with a run of another site" in said and "-of-" not in said


def test_only_its_own_is_named_where_there_are_both(look):
	_outcome, said = look("a.example", "b.example", "a.example")
	assert "of-a-example" in said and "of-b-example" not in said


def test_the_shell_user_reads_every_name(look):
	_outcome, said = look(None, "a.example", "b.example")
	assert "of-a-example" in said and "of-b-example" in said


def test_none_is_none(look):
	assert look("a.example")[0] == "ok"
