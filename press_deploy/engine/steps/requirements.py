"""What the new code asks of the environment: kept as it is before the window, changed within, put back as files.

Invariant: what a release does to the environment is undone without a package index, and without anything that lies in
the environment itself: the release may have taken pip away.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from press_deploy.engine.bench import distributions, environment_files
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.errors import Refused, StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import Phase, RunState
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.install import why_not_needed
from press_deploy.engine.steps.run import Run

INSTALL_SECONDS = 1800
LOOK_SECONDS = 60
# In a run's private directory: what the files of its environment were before the release, and behind it; which of
# them are not to be put back; and, of a run that kept no files, its packages.
LISTING, AFTER, EXCEPTED = "environment.json", "environment-after.json", "environment-excepted.json"
FORMER_PACKAGES = "former-packages.txt"
SHOWN = 5


class KeepEnvironment(Step):
	"""Keep the files of the environment while the sites are open, so that the window need not wait for it."""

	name, title, phase = "keep-environment", "Keep the environment", Phase.PREPARE
	undone_by = NOTHING

	def skip_reason(self, run: Run) -> str | None:
		return why_not_needed(run, "requirements")

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		return {"found": f"{_keep(run)} files kept, to be put back without a package index"}


class Requirements(Step):
	"""Install what the release's Python packages ask for."""

	name, title, phase = "requirements", "Install requirements", Phase.DEPLOY
	undone_by = ("undo-requirements",)

	def skip_reason(self, run: Run) -> str | None:
		return why_not_needed(run, "requirements")

	def prepare(self, run: Run) -> dict[str, Any]:
		private, kept = run.directory.private, run.directory.kept_environment
		if not ((private / LISTING).is_file() and kept.is_dir()):
			_keep(run)  # the run was begun by a version that had no step for it
		elif _find_differences(run):
			run.note("Packages were installed by somebody since the environment was kept; it was kept again")
			_keep(run)
		# The code is switched already; what is installed still says what the former release asked for.
		amiss = self._look(run, distributions.INSTALLED)["unsatisfied"]
		link = run.bench.path / "env"
		led = {"link": str(link.readlink())} if link.is_symlink() else {}
		return {"kept": True, "unsatisfied": sorted(amiss), **led}

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		for app in _packages(run):
			_pip(run, "install", "--quiet", "--editable", str(app))
		# What differs from this later is not the release's, but somebody's own.
		run.directory.save_private(AFTER, environment_files.list_files(run.bench.environment))
		return {}

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		if result is None:
			# That all is there which is asked for does not tell whether the apps themselves were installed anew.
			return Observation(False, "not known; installed again")
		seen = self._look(run, distributions.CODE)
		# What was amiss before the release is not its own.
		former = before.get("unsatisfied", ())
		amiss = [said for about, said in seen["unsatisfied"].items() if about not in former]
		if amiss:
			return Observation(
				False, f"the environment has not what is asked for: {'; '.join(amiss[:SHOWN])}"
			)
		apps = ", ".join(f"{name} {version}" for name, version in sorted(seen["apps"].items()))
		return Observation(
			True, f"installed: {apps or 'no package'}; {seen['checked']} requirements are satisfied"
		)

	def undo(self, run: Run, before: dict[str, Any]) -> None:
		if not before.get("kept"):
			return _put_back_by_pip(run)
		if link := before.get("link"):
			_lead_back(run.bench.path / "env", link)
		if run.directory.kept_environment.is_dir():
			_put_back(run)
		elif different := _find_differences(run):
			raise StepFailed(
				"Putting back",
				str(run.bench.environment),
				f"it was put back, and changed since: {', '.join(different[:SHOWN])}",
				f"see who does that, then roll back again; what was there is listed in {run.directory.private / LISTING}",
			)

	def observe_undone(self, run: Run, before: dict[str, Any]) -> Observation:
		if not before.get("kept"):
			former, now = run.directory.load_private(FORMER_PACKAGES), _freeze(run)
			different = sorted(set(former) ^ set(now))
		else:
			different = _find_differences(run)
		shown = ", ".join(different[:SHOWN])
		return Observation(not different, f"different: {shown}" if different else "every package as before")

	def _look(self, run: Run, asked_by: str) -> dict[str, Any]:
		"""What the bench's environment has of what the apps ask for; see `distributions`."""
		apps = [str(each) for each in _packages(run)]
		command = [run.bench.python, "-I", distributions.__file__, asked_by, *apps]
		return json.loads(
			run.programs.execute(command, timeout=LOOK_SECONDS, doing="Looking at packages with")
		)


def _keep(run: Run) -> int:
	"""Keep the environment, and note what its files are; return how many."""
	environment, kept = run.bench.environment, run.directory.kept_environment
	try:
		listing = environment_files.keep(environment, kept)
		run.directory.save_private(LISTING, listing)
	except OSError as error:
		why = f"{error.filename}: {error.strerror}"
		remedy = f"see the disk, and the rights of that file: df -h {kept.parent}; ls -l {error.filename}"
		raise StepFailed("Keeping", str(environment), why, remedy) from None
	return len(listing)


def _put_back(run: Run) -> None:
	environment, kept = run.bench.environment, run.directory.kept_environment
	former = run.directory.load_private(LISTING)
	try:
		# A link keeps no file from being written into; then nobody has what was in it.
		edited = environment_files.find_differences(former, environment_files.list_files(kept))
		replaced = environment_files.put_back(kept, environment, run.directory.replaced_environment)
		carried = []
		if (run.directory.private / AFTER).is_file() and replaced.is_dir():
			after = run.directory.load_private(AFTER)
			carried = environment_files.carry_over(replaced, environment, former, after)
	except OSError as error:
		why = f"{error.filename}: {error.strerror}"
		remedy = f"see the disk and its rights: df -h {kept.parent}; what was there is in {kept}"
		raise StepFailed("Putting back", str(environment), why, remedy) from None
	run.directory.save_private(EXCEPTED, [*edited, *carried])
	if edited:
		run.note(f"Changed in place by somebody, and left as they are: {', '.join(edited[:SHOWN])}")
	if carried:
		run.note(f"Installed by somebody since the release, and kept: {', '.join(carried[:SHOWN])}")


def _find_differences(run: Run) -> list[str]:
	"""The files of the environment that are not what they were when it was kept."""
	private = run.directory.private
	former, now = run.directory.load_private(LISTING), environment_files.list_files(run.bench.environment)
	excepted = run.directory.load_private(EXCEPTED) if (private / EXCEPTED).is_file() else []
	return [
		name
		for name in environment_files.find_differences(former, now)
		if not any(name == each or name.startswith(f"{each}/") for each in excepted)
	]


def _lead_back(link: Path, target: str) -> None:
	"""See that the link which is the environment leads where it led before the release."""
	if link.is_symlink() and str(link.readlink()) == target:
		return
	try:
		if link.is_symlink():
			link.unlink()
		link.symlink_to(target)
	except OSError as error:
		remedy = f"make it so by hand, then roll back again: ln -sfn {target} {link}"
		raise StepFailed("Putting back", str(link), str(error), remedy) from None


def check_environment_kept(bench: Bench, run: RunDirectory, state: RunState) -> None:
	"""Raise `Refused` where the environment of before a run can't be put back any more, before anything is closed."""
	is_needed = state.before(Requirements.name).get("kept") and not state.was_put_back("undo-requirements")
	# One that was put back already, by a rollback that died, lies in its place.
	if is_needed and not run.kept_environment.is_dir() and not run.replaced_environment.is_dir():
		raise Refused(
			"Rolling back",
			f"run {state.run}",
			"the environment of before it is not kept any more: the days of the plan's retention_days are over",
			f"nothing was changed; deploy the former commit as a release instead: {bench.command_to_type('run', 'PLAN.json')}",
		)


def _packages(run: Run) -> list[Path]:
	"""The directories of those apps that are Python packages to be installed."""
	directories = [run.bench.app(app.name) for app in run.spec.apps]
	return [
		each for each in directories if (each / "pyproject.toml").exists() or (each / "setup.py").exists()
	]


def _pip(run: Run, *arguments: str) -> str:
	command = [run.bench.python, "-m", "pip", "--disable-pip-version-check", *arguments]
	return run.programs.execute(command, timeout=INSTALL_SECONDS, doing="Installing packages with")


# --- runs of versions that kept no files ---------------------------------------------------------


def _put_back_by_pip(run: Run) -> None:
	former = run.directory.load_private(FORMER_PACKAGES)
	for app in _packages(run):
		_pip(run, "install", "--quiet", "--no-deps", "--editable", str(app))
	now = _freeze(run)
	pinned = [line for line in former if line not in now and "==" in line]
	if pinned:
		_pip(run, "install", "--quiet", "--no-deps", *pinned)
	names = {_package_of(line) for line in former}
	added = [_package_of(line) for line in now if _package_of(line) not in names]
	if added:
		_pip(run, "uninstall", "--quiet", "--yes", *added)


def _freeze(run: Run) -> list[str]:
	output = _pip(run, "freeze", "--all")
	# An editable install is named by its commit, which the code step puts back.
	return sorted(line for line in output.splitlines() if "==" in line and not line.startswith(("#", "-e")))


def _package_of(line: str) -> str:
	return line.partition("==")[0]
