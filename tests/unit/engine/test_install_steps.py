"""What the steps that prepare the new code see in reality, whatever `apply` or `undo` did or left out."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from press_deploy.engine.bench import distributions
from press_deploy.engine.databases import patches
from press_deploy.engine.ground.errors import CommandTimedOut, SiteProcessFailed, StepFailed
from press_deploy.engine.steps.backup import FinalBackup
from press_deploy.engine.steps.install import Build, Requirements
from press_deploy.engine.steps.migrate import Migrate

from .step_context import BUNDLE, LIST, Context, make_context
from .support import SITE


@pytest.fixture
def context(tmp_path: Path) -> Context:
	return make_context(tmp_path)


class TestRequirements:
	"""What `apply` returned is not asked: the environment is, the same after a crash."""

	about, lacks = "shop shop-units", "shop asks for shop-units==2.0, there is 1.0"

	@pytest.fixture(autouse=True)
	def environment(self, context):
		self.amiss = {distributions.INSTALLED: {}, distributions.CODE: {}}
		self.packages = ["shop-units==1.0"]
		context.programs = SimpleNamespace(execute=self.execute)

	def execute(self, command, **_options):
		if "freeze" in command:
			return "\n".join(self.packages)
		asked_by = command[command.index(distributions.__file__) + 1]
		return json.dumps({"apps": {"shop": "1.0"}, "checked": 2, "unsatisfied": self.amiss[asked_by]})

	@pytest.mark.parametrize("result", [{}, None])
	def test_satisfied(self, context, result):
		seen = Requirements().observe(context, Requirements().prepare(context), result)
		assert seen.done and seen.found == "installed: shop 1.0; 2 requirements are satisfied"

	@pytest.mark.parametrize("result", [{}, None])
	def test_what_the_release_asks_for_and_is_not_there_is_seen(self, context, result):
		# So it is before `apply` as well, since the code is switched by then.
		self.amiss[distributions.CODE] = {self.about: self.lacks}
		seen = Requirements().observe(context, Requirements().prepare(context), result)
		assert not seen.done and self.lacks in seen.found

	def test_what_was_amiss_before_is_not_the_fault_of_the_release(self, context):
		self.amiss = {asked_by: {self.about: self.lacks} for asked_by in self.amiss}
		assert Requirements().observe(context, Requirements().prepare(context), {}).done

	def test_what_was_not_put_back_is_seen(self, context):
		before = Requirements().prepare(context)
		assert Requirements().observe_undone(context, before).done
		self.packages = ["shop-units==2.0", "shop-labels==1.0"]
		assert not Requirements().observe_undone(context, before).done


class TestBuild:
	def test_built_and_put_back(self, context):
		step, bundle = Build(), context.bench.path / BUNDLE.format("X")
		before = step.prepare(context)
		assert step.observe(context, before, step.apply(context, before)).done and bundle.read_text() == "NEW"
		assert not step.observe_undone(context, before).done, (
			"the same files are there, but not of the former release"
		)
		step.undo(context, before)
		assert step.observe_undone(context, before).done and bundle.read_text() == "OLD"

	def test_after_a_crash_it_is_built_again(self, context):
		assert not Build().observe(context, Build().prepare(context), None).done

	@pytest.mark.parametrize("content", [None, "", "of somebody else"])
	def test_a_bundle_that_is_not_what_was_built_is_seen(self, context, content):
		step, bundle = Build(), context.bench.path / BUNDLE.format("X")
		before = step.prepare(context)
		result = step.apply(context, before)
		bundle.unlink()
		if content is not None:
			bundle.write_text(content)
		assert not step.observe(context, before, result).done

	def test_a_list_that_names_what_was_not_built_is_seen(self, context):
		context.tasks["build"] = lambda site: (context.bench.path / BUNDLE.format("X")).unlink()
		step = Build()
		before = step.prepare(context)
		seen = step.observe(context, before, step.apply(context, before))
		assert not seen.done and "shop.bundle.X.js" in seen.found

	def test_a_kept_copy_that_was_changed_is_not_the_former_release(self, context):
		step = Build()
		before = step.prepare(context)
		(context.run.private / "assets" / "0" / "js" / "shop.bundle.X.js").write_text("changed")
		step.undo(context, before)
		assert not step.observe_undone(context, before).done

	def test_journals_without_sums_are_read(self, context):
		step = Build()
		before = {"kept": step.prepare(context)["kept"]}
		step.apply(context, before)
		assert not step.observe_undone(context, before).done
		step.undo(context, before)
		assert step.observe_undone(context, before).done

	def test_what_was_not_there_before_goes(self, context):
		for file in (LIST, BUNDLE.format("X")):
			(context.bench.path / file).unlink()
		(context.bench.path / BUNDLE.format("X")).parent.rmdir()
		(context.bench.path / BUNDLE.format("X")).parent.parent.rmdir()
		step = Build()
		before = step.prepare(context)
		step.apply(context, before)
		assert not step.observe_undone(context, before).done
		step.undo(context, before)
		assert step.observe_undone(context, before).done and not (context.bench.path / LIST).exists()


class TestMigrate:
	@pytest.fixture(autouse=True)
	def patch_log(self, monkeypatch):
		self.pending = []
		monkeypatch.setattr(patches, "list_pending", lambda *_: self.pending)

	def test_the_patch_log_is_asked(self, context):
		assert Migrate().observe(context, {}, {}).done
		self.pending = ["shop.patches.left"]
		seen = Migrate().observe(context, {}, {})
		assert not seen.done and "shop.patches.left" in seen.found and SITE in seen.found

	def test_after_a_crash_it_migrates_again_although_the_patches_ran(self, context):
		assert not Migrate().observe(context, {}, None).done

	def test_a_failure_says_where_and_what_to_read(self, context):
		said = (
			"app shop, patch shop.patches.v6, apps/shop/shop/patches/v6.py, line 5: ValidationError: half way"
		)
		failed = SiteProcessFailed("Doing migrate on", SITE, f"Migrating {SITE}: {said}", "see the log")
		context.tasks["migrate"] = self.fail_with(failed)
		with pytest.raises(StepFailed) as caught:
			Migrate().apply(context, {})
		log = context.run.step_log("migrate")
		assert caught.value.why == f"{SITE}, {said} (whole traceback: {log})"
		assert str(log) in caught.value.remedy and f"status {context.run.name}" in caught.value.remedy

	def test_one_that_takes_too_long_names_the_site(self, context):
		context.tasks["migrate"] = self.fail_with(
			CommandTimedOut("Doing migrate on", SITE, "not finished after 1 s")
		)
		with pytest.raises(StepFailed, match=rf"{SITE}, not finished after 1 s"):
			Migrate().apply(context, {})

	def fail_with(self, error):
		def act(_site):
			raise error

		return act


class TestFinalBackup:
	@pytest.fixture
	def final(self, context, tmp_path):
		directory = tmp_path / "final"
		(directory / "files").mkdir(parents=True)
		for name in ("final.json", "changed.sql.zst"):
			(directory / name).write_text(json.dumps({"schema": 1, "tables": {}, "facts": {}}))
		(directory / "files" / "inventory.json").write_text("{}")
		self.standby = SimpleNamespace(name="standby", is_loaded=lambda: True)
		context.final_backup_of = lambda site: directory
		context.wants_standby, context.standbys = lambda site: True, {SITE: self.standby}
		return directory

	def observe(self, context):
		return FinalBackup().observe(
			context, {}, {"files": {SITE: ["final.json", "changed.sql.zst"]}, "found": "equal"}
		)

	def test_there(self, context, final):
		assert self.observe(context).done and not FinalBackup().observe(context, {}, None).done

	@pytest.mark.parametrize("name", ["final.json", "changed.sql.zst", "files/inventory.json"])
	def test_a_file_that_is_gone_is_seen(self, context, final, name):
		(final / name).unlink()
		assert not self.observe(context).done and not FinalBackup().observe(context, {}, None).done

	def test_a_standby_that_is_gone_is_seen(self, context, final):
		self.standby.is_loaded = lambda: False
		assert not self.observe(context).done

	def test_without_a_standby_the_dump_is_looked_at(self, context, final):
		context.wants_standby = lambda site: False
		seen = FinalBackup().observe(context, {}, {"found": "dumped whole"})
		assert not seen.done and "dump" in seen.found
