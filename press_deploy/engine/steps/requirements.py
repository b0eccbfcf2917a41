"""What the new code asks of the environment: kept as it is before the window, changed within, put back as files.

Invariant: what a release does to the environment is undone without a package index, and without anything that lies in
the environment itself: the release may have taken pip away.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from press_deploy.engine.bench import distributions, environment_files
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.install import why_not_needed
from press_deploy.engine.steps.run import Run

INSTALL_SECONDS = 1800
LOOK_SECONDS = 60
# In a run's private directory: what the files of its environment were; and, where none were kept, its packages.
LISTING, FORMER_PACKAGES = "environment.json", "former-packages.txt"
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
		if not (run.directory.private / LISTING).is_file():
			_keep(run)  # the run was begun by a version that had no step for it
		elif _find_differences(run):
			run.note("Packages were installed by somebody since the environment was kept; it was kept again")
			_keep(run)
		# The code is switched already; what is installed still says what the former release asked for.
		amiss = self._look(run, distributions.INSTALLED)["unsatisfied"]
		return {"kept": True, "unsatisfied": sorted(amiss)}

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		for app in _packages(run):
			_pip(run, "install", "--quiet", "--editable", str(app))
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
		environment, kept = run.bench.environment, run.directory.kept_environment
		if not kept.is_dir():
			if not _find_differences(run):
				return  # put back by an attempt that died
			raise StepFailed(
				"Putting back",
				str(environment),
				f"{kept} is gone: the days for which it is kept are over",
				f"make the environment by hand as {run.directory.private / LISTING} lists it, then roll back again",
			)
		try:
			environment_files.put_back(kept, environment, run.directory.replaced_environment)
		except OSError as error:
			why = f"{error.filename}: {error.strerror}"
			remedy = f"see the disk and its rights: df -h {kept}; it is kept there"
			raise StepFailed("Putting back", str(environment), why, remedy) from None

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
		remedy = f"see the disk and its rights: df -h {kept.parent}; ls -ld {kept.parent}"
		raise StepFailed("Keeping", str(environment), why, remedy) from None
	return len(listing)


def _find_differences(run: Run) -> list[str]:
	"""The files of the environment that are not what they were when it was kept."""
	former = run.directory.load_private(LISTING)
	return environment_files.find_differences(former, environment_files.list_files(run.bench.environment))


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
