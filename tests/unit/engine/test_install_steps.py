"""What the steps that prepare the new code see in reality, whatever `apply` or `undo` did or left out."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from press_deploy.engine.bench import distributions
from press_deploy.engine.databases import patches
from press_deploy.engine.ground.errors import CommandTimedOut, Refused, SiteProcessFailed, StepFailed
from press_deploy.engine.journal.lifecycle import StepState
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import RunState
from press_deploy.engine.steps.final_backup import FinalBackup, FinalFiles
from press_deploy.engine.steps.install import Build
from press_deploy.engine.steps.migrate import Migrate
from press_deploy.engine.steps.requirements import (
	FORMER_PACKAGES,
	LISTING,
	KeepEnvironment,
	Requirements,
	check_environment_kept,
)
from tests.support.steps import hand

from .step_run import BUNDLE, LIST, StepRun, make_run
from .support import SITE


@pytest.fixture
def run(tmp_path: Path) -> StepRun:
	return make_run(tmp_path)


class TestRequirements:
	"""Whatever `apply` returned: the environment is asked."""

	about, lacks = "shop shop-units", "shop asks for shop-units==2.0, there is 1.0"

	@pytest.fixture(autouse=True)
	def environment(self, run):
		self.amiss = {distributions.INSTALLED: {}, distributions.CODE: {}}
		run.programs = SimpleNamespace(execute=self.execute)
		self.packages = run.bench.environment / "lib/python3/site-packages"
		(self.packages / "units").mkdir(parents=True)
		(self.packages / "units/core.py").write_text("1.0")
		(self.packages / "units-1.0.dist-info").mkdir()
		(self.packages / "units-1.0.dist-info/METADATA").write_text("units")
		(self.packages / "units.pth").write_text("units")
		KeepEnvironment().apply(run, {})
		self.prepared = partial(Requirements().prepare, run)

	def execute(self, command, **_options):
		if "install" in command:
			return ""
		asked_by = command[command.index(distributions.__file__) + 1]
		return json.dumps({"apps": {"shop": "1.0"}, "checked": 2, "unsatisfied": self.amiss[asked_by]})

	def install(self):
		"""What pip does: it puts other files there; and what setuptools does: it writes into one."""
		shutil.rmtree(self.packages / "units")
		(self.packages / "labels").mkdir()
		(self.packages / "labels/core.py").write_text("1.0")
		with (self.packages / "units.pth").open("a") as file:
			file.write("labels")

	def test_satisfied(self, run):
		seen = Requirements().observe(run, self.prepared(), {})
		assert seen.done and seen.found == "installed: shop 1.0; 2 requirements are satisfied"

	def test_after_a_crash_it_is_done_again(self, run):
		"""Else the apps' own entry points and versions might be those of the former release."""
		assert not Requirements().observe(run, self.prepared(), None).done

	def test_what_the_release_asks_for_and_is_not_there_is_seen(self, run):
		self.amiss[distributions.CODE] = {self.about: self.lacks}
		seen = Requirements().observe(run, self.prepared(), {})
		assert not seen.done and self.lacks in seen.found

	def test_what_was_amiss_before_is_not_the_fault_of_the_release(self, run):
		self.amiss = {asked_by: {self.about: self.lacks} for asked_by in self.amiss}
		assert Requirements().observe(run, self.prepared(), {}).done

	def test_every_file_is_put_back(self, run):
		before = self.prepared()
		assert Requirements().observe_undone(run, before).done
		self.install()
		assert Requirements().observe_undone(run, before).found == (
			"different: lib/python3/site-packages/labels/core.py, lib/python3/site-packages/units.pth, "
			"lib/python3/site-packages/units/core.py"
		)
		for _ in range(2):
			Requirements().undo(run, before)
			assert Requirements().observe_undone(run, before).done
		assert (self.packages / "units/core.py").read_text() == "1.0"
		assert (self.packages / "units.pth").read_text() == "units"
		replaced = run.directory.replaced_environment / "lib/python3/site-packages"
		assert (replaced / "labels/core.py").read_text() == "1.0"

	def test_an_undo_that_was_killed_half_way_is_completed(self, run):
		before = self.prepared()
		self.install()
		run.bench.environment.rename(run.directory.replaced_environment)
		assert not Requirements().observe_undone(run, before).done
		Requirements().undo(run, before)
		assert Requirements().observe_undone(run, before).done and run.directory.replaced_environment.is_dir()

	def test_what_somebody_installed_meanwhile_is_kept_too(self, run):
		(self.packages / "labels.py").write_text("1.0")
		before = self.prepared()
		assert "kept again" in run.notes[0]
		self.install()
		Requirements().undo(run, before)
		assert (self.packages / "labels.py").read_text() == "1.0"

	def test_a_run_that_began_before_there_was_such_a_step_keeps_it_now(self, run):
		shutil.rmtree(run.directory.kept_environment)
		(run.directory.private / LISTING).unlink()
		before = self.prepared()
		self.install()
		Requirements().undo(run, before)
		assert Requirements().observe_undone(run, before).done

	def test_what_was_put_back_and_changed_since_is_told(self, run):
		before = self.prepared()
		self.install()
		Requirements().undo(run, before)
		(self.packages / "units/core.py").write_text("3.0.0")
		with pytest.raises(StepFailed, match=r"changed since: .*units/core\.py"):
			Requirements().undo(run, before)

	def test_what_is_kept_no_more_is_refused_before_anything_is_closed(self, run):
		def state(**before):
			undone = {"was_put_back": lambda name: False, "run": run.name, "before": lambda name: before}
			return SimpleNamespace(**undone)

		self.prepared()
		check = partial(check_environment_kept, run.bench, run.directory)
		check(state(kept=True))
		shutil.rmtree(run.directory.kept_environment)
		check(state())
		with pytest.raises(Refused, match="is not kept any more"):
			check(state(kept=True))
		run.directory.replaced_environment.mkdir()
		check(state(kept=True))

	def test_what_was_written_into_is_left_as_it_is(self, run):
		"""A link keeps nobody from that, and then nobody has what was there."""
		before = self.prepared()
		with (self.packages / "units/core.py").open("a") as file:
			file.write(" of somebody")
		Requirements().undo(run, before)
		assert Requirements().observe_undone(run, before).done and "units/core.py" in run.notes[-1]
		assert (self.packages / "units/core.py").read_text() == "1.0 of somebody"

	def test_what_somebody_installed_after_the_release_stays(self, run):
		before = self.prepared()
		Requirements().apply(run, before)
		for name in ("newapp/__init__.py", "newapp-1.0.dist-info/METADATA", "units-3.0.dist-info/METADATA"):
			(self.packages / name).parent.mkdir()
			(self.packages / name).write_text("new")
		(self.packages / "newapp.pth").write_text("new")
		Requirements().undo(run, before)
		assert Requirements().observe_undone(run, before).done
		assert sorted(path.name for path in self.packages.iterdir()) == [
			"newapp",
			"newapp-1.0.dist-info",
			"newapp.pth",
			"units",
			"units-1.0.dist-info",
			"units.pth",
		]
		assert "kept: " in run.notes[-1] and "newapp-1.0.dist-info" in run.notes[-1]

	def test_where_the_environment_is_a_link_it_leads_where_it_led(self, run):
		link = run.bench.path / "env"
		link.rename(link.with_name("env-1"))
		link.symlink_to("env-1")
		KeepEnvironment().apply(run, {})
		before = self.prepared()
		link.unlink()
		(run.bench.path / "env-2").mkdir()
		link.symlink_to("env-2")
		Requirements().undo(run, before)
		assert Requirements().observe_undone(run, before).done and str(link.readlink()) == "env-1"


class TestPackagesOfFormerVersions:
	"""Runs that kept no files of the environment are put back by pip, as they were when they were made."""

	def test_what_differs_is_installed_and_what_came_is_removed(self, run):
		run.directory.save_private(FORMER_PACKAGES, ["shop-units==1.0"])
		packages, called = {"shop-units": "2.0", "shop-labels": "1.0"}, []

		def execute(command, **_options):
			called.append(
				[word for word in command if word in ("install", "uninstall") or word.startswith("shop")]
			)
			if "uninstall" in command:
				del packages["shop-labels"]
			elif command[-1].startswith("shop-units=="):
				packages["shop-units"] = "1.0"
			return "\n".join("==".join(each) for each in packages.items())

		run.programs = SimpleNamespace(execute=execute)
		before = {"packages": 1, "unsatisfied": []}
		assert "shop-labels==1.0" in Requirements().observe_undone(run, before).found
		Requirements().undo(run, before)
		assert ["install", "shop-units==1.0"] in called and ["uninstall", "shop-labels"] in called
		assert Requirements().observe_undone(run, before).done


class TestBuild:
	def test_built_and_put_back(self, run):
		step, bundle = hand(Build, run), run.bench.path / BUNDLE.format("X")
		before = step.prepare(run)
		assert step.observe(run, before, step.apply(run, before)).done and bundle.read_text() == "NEW"
		assert not step.observe_undone(run, before).done, (
			"the same files are there, but not of the former release"
		)
		step.undo(run, before)
		assert step.observe_undone(run, before).done and bundle.read_text() == "OLD"

	def test_after_a_crash_it_is_built_again(self, run):
		assert not hand(Build, run).observe(run, hand(Build, run).prepare(run), None).done

	@pytest.mark.parametrize("content", [None, "", "of somebody else"])
	def test_a_bundle_that_is_not_what_was_built_is_seen(self, run, content):
		step, bundle = hand(Build, run), run.bench.path / BUNDLE.format("X")
		before = step.prepare(run)
		result = step.apply(run, before)
		bundle.unlink()
		if content is not None:
			bundle.write_text(content)
		assert not step.observe(run, before, result).done

	def test_a_list_that_names_what_was_not_built_is_seen(self, run):
		run.tasks["build"] = lambda site: (run.bench.path / BUNDLE.format("X")).unlink()
		step = hand(Build, run)
		before = step.prepare(run)
		seen = step.observe(run, before, step.apply(run, before))
		assert not seen.done and "shop.bundle.X.js" in seen.found

	def test_a_kept_copy_that_was_changed_is_not_the_former_release(self, run):
		step = hand(Build, run)
		before = step.prepare(run)
		(run.directory.private / "assets" / "0" / "js" / "shop.bundle.X.js").write_text("changed")
		step.undo(run, before)
		assert not step.observe_undone(run, before).done

	def test_journals_without_sums_are_read(self, run):
		step = hand(Build, run)
		before = {"kept": step.prepare(run)["kept"]}
		step.apply(run, before)
		assert not step.observe_undone(run, before).done
		step.undo(run, before)
		assert step.observe_undone(run, before).done

	def test_what_was_not_there_before_goes(self, run):
		for file in (LIST, BUNDLE.format("X")):
			(run.bench.path / file).unlink()
		(run.bench.path / BUNDLE.format("X")).parent.rmdir()
		(run.bench.path / BUNDLE.format("X")).parent.parent.rmdir()
		step = hand(Build, run)
		before = step.prepare(run)
		step.apply(run, before)
		assert not step.observe_undone(run, before).done
		step.undo(run, before)
		assert step.observe_undone(run, before).done and not (run.bench.path / LIST).exists()


class TestMigrate:
	@pytest.fixture(autouse=True)
	def patch_log(self, monkeypatch):
		self.pending = []
		monkeypatch.setattr(patches, "list_pending", lambda *_: self.pending)

	def test_the_patch_log_is_asked(self, run):
		assert hand(Migrate, run).observe(run, {}, {}).done
		self.pending = ["shop.patches.left"]
		seen = hand(Migrate, run).observe(run, {}, {})
		assert not seen.done and "shop.patches.left" in seen.found and SITE in seen.found

	def test_after_a_crash_it_migrates_again_although_the_patches_ran(self, run):
		assert not hand(Migrate, run).observe(run, {}, None).done

	def test_a_failure_says_where_and_what_to_read(self, run):
		said = (
			"app shop, patch shop.patches.v6, apps/shop/shop/patches/v6.py, line 5: ValidationError: half way"
		)
		failed = SiteProcessFailed("Doing migrate on", SITE, f"Migrating {SITE}: {said}", "see the log")
		run.tasks["migrate"] = self.fail_with(failed)
		with pytest.raises(StepFailed) as caught:
			hand(Migrate, run).apply(run, {})
		log = run.directory.step_log("migrate")
		assert caught.value.why == f"{SITE}, {said} (whole traceback: {log})"
		assert str(log) in caught.value.remedy and f"status {run.name}" in caught.value.remedy

	def test_one_that_takes_too_long_names_the_site(self, run):
		run.tasks["migrate"] = self.fail_with(
			CommandTimedOut("Doing migrate on", SITE, "not finished after 1 s")
		)
		with pytest.raises(StepFailed, match=rf"{SITE}, not finished after 1 s"):
			hand(Migrate, run).apply(run, {})

	def fail_with(self, error):
		def act(_site):
			raise error

		return act


class TestFinalBackup:
	@pytest.fixture
	def final(self, run, tmp_path, monkeypatch):
		directory = tmp_path / "final"
		(directory / "files").mkdir(parents=True)
		for name in ("final.json", "changed.sql.zst"):
			(directory / name).write_text(json.dumps({"schema": 1, "tables": {}, "facts": {}}))
		self.standby = SimpleNamespace(name="standby", is_loaded=lambda: True)
		monkeypatch.setattr(RunDirectory, "final_backup_of", lambda *_: directory)
		run.databases.standbys = {SITE: self.standby}
		return directory

	def observe(self, run):
		return hand(FinalBackup, run).observe(
			run, {}, {"files": {SITE: ["final.json", "changed.sql.zst"]}, "found": "equal"}
		)

	def test_there(self, run, final):
		assert self.observe(run).done and not hand(FinalBackup, run).observe(run, {}, None).done

	@pytest.mark.parametrize("name", ["final.json", "changed.sql.zst"])
	def test_a_file_that_is_gone_is_seen(self, run, final, name):
		(final / name).unlink()
		assert not self.observe(run).done and not hand(FinalBackup, run).observe(run, {}, None).done

	def test_a_standby_that_is_gone_is_seen(self, run, final):
		self.standby.is_loaded = lambda: False
		assert not self.observe(run).done

	def test_without_a_standby_the_dump_is_looked_at(self, run, final):
		run.databases.wants_standby = lambda site: False
		seen = hand(FinalBackup, run).observe(run, {}, {"found": "dumped whole"})
		assert not seen.done and "dump" in seen.found


class TestFinalFiles:
	@pytest.fixture
	def listed(self, run, tmp_path, monkeypatch):
		monkeypatch.setattr(RunDirectory, "final_backup_of", lambda *_: tmp_path / "final")
		place = FinalFiles.place(run, SITE)
		place.mkdir(parents=True)
		(place / "inventory.json").write_text("{}")
		run.state = RunState("run")
		return place / "inventory.json"

	def test_there(self, run, listed):
		assert FinalFiles().observe(run, {}, {}).done and not FinalFiles().observe(run, {}, None).done

	def test_a_list_that_is_gone_is_seen(self, run, listed):
		listed.unlink()
		seen = FinalFiles().observe(run, {}, {})
		assert not seen.done and "has no list of its files" in seen.found

	@pytest.mark.parametrize(
		("done", "counts"),
		[
			({"final-backup": "done", "final-files": "done"}, True),
			({"final-backup": "done"}, True),  # of an earlier version, which made it last in the final backup
			({"final-backup": "done", "final-files": "skipped"}, True),  # and whose run was gone on with
			({"final-backup": "done", "final-files": "announced"}, False),
			({"final-backup": "done", "final-files": "failed"}, False),
			({"final-backup": "failed"}, False),
			({}, False),
		],
	)
	def test_a_list_counts_only_as_a_whole(self, run, listed, done, counts):
		for name, status in done.items():
			moment = "2026-01-14T02:00:00+00:00"
			run.state.steps[name] = StepState(name, "deploy", name, status, moment)
		assert FinalFiles.list_sites(run) == ([SITE] if counts else [])

	def test_without_a_list_there_is_none(self, run, listed):
		run.state.steps["final-files"] = StepState("final-files", "deploy", "", "skipped", "")
		listed.unlink()
		assert FinalFiles.list_sites(run) == []
