"""A real site, driven from outside through the site process, as the engine does it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from press_deploy.engine.bench.site_answer import open_answer, read_answer
from tests.site import interpreter


class TaskFailed(Exception):
	"""The site process answered with an error."""


@dataclass(frozen=True)
class Site:
	bench: Path
	name: str

	@property
	def path(self) -> Path:
		return self.bench / "sites" / self.name

	@property
	def config(self) -> dict[str, Any]:
		return json.loads((self.path / "site_config.json").read_text())

	@property
	def is_sqlite(self) -> bool:
		return self.config.get("db_type") == "sqlite"

	def start(self, task: str, **arguments: Any) -> subprocess.Popen:
		"""Start a task whose answer nobody waits for."""
		with open_answer(task) as answer:
			return self._start(task, arguments, answer)

	def _start(self, task: str, arguments: dict[str, Any], answer: BinaryIO) -> subprocess.Popen:
		request = {"task": task, "site": self.name, "arguments": arguments, "answer": answer.fileno()}
		process = subprocess.Popen(
			[self.bench / "env" / "bin" / "python", "-m", "press_deploy.site.process"],
			cwd=self.bench / "sites",
			stdin=subprocess.PIPE,
			stdout=subprocess.PIPE,
			stderr=subprocess.STDOUT,
			text=True,
			pass_fds=(answer.fileno(),),
		)
		process.stdin.write(json.dumps(request))
		process.stdin.close()
		return process

	def call(self, task: str, **arguments: Any) -> Any:
		with open_answer(task) as answer:
			process = self._start(task, arguments, answer)
			output = process.stdout.read()
			code = process.wait()
			assert os.fstat(answer.fileno()).st_size, output
			said = read_answer(answer)
		assert (code == 0) == ("value" in said)
		if code:
			raise TaskFailed(said["error"])
		return said["value"]

	def execute(self, code: str) -> Any:
		"""Run Python in the site, commit, and return what it assigned to `result`."""
		return interpreter.execute(self.bench, self.name, code)
