"""The code port: the repositories and file copies of the apps that are deployed."""

from __future__ import annotations

from press_deploy.engine.bench.file_copy import FileCopy
from press_deploy.engine.bench.git import Repository
from press_deploy.engine.plan.spec import App
from press_deploy.engine.steps.run import Run


class Code:
	"""The apps of one run, and what brings each of them here."""

	def __init__(self, run: Run):
		self._run = run

	def git_apps(self) -> list[App]:
		return [app for app in self._run.spec.apps if app.method == "git"]

	def copied_apps(self) -> list[App]:
		return [app for app in self._run.spec.apps if app.method == "copy"]

	def repository(self, app: App | str) -> Repository:
		name = app if isinstance(app, str) else app.name
		return Repository(self._run.bench.app(name), self._run.programs)

	def file_copy(self, app: App) -> FileCopy:
		run = self._run
		return FileCopy(app, run.bench.app(app.name), run.directory.private, run.programs)
