"""A real site, driven from outside through the site process, as the engine does it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.site import interpreter


class TaskFailed(Exception):
	"""The site process answered with an error."""


@dataclass(frozen=True)
class Site:
	bench: Path
	name: str
	answers: Path

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
		request = {
			"task": task,
			"site": self.name,
			"arguments": arguments,
			"answer": str(self.answers / "answer"),
		}
		process = subprocess.Popen(
			[self.bench / "env" / "bin" / "python", "-m", "press_deploy.site.process"],
			cwd=self.bench / "sites",
			stdin=subprocess.PIPE,
			stdout=subprocess.PIPE,
			stderr=subprocess.STDOUT,
			text=True,
		)
		process.stdin.write(json.dumps(request))
		process.stdin.close()
		return process

	def call(self, task: str, **arguments: Any) -> Any:
		process = self.start(task, **arguments)
		output = process.stdout.read()
		code, answer = process.wait(), self.answers / "answer"
		assert answer.exists(), output
		assert answer.stat().st_mode & 0o777 == 0o600
		said = json.loads(answer.read_text())
		answer.unlink()
		assert (code == 0) == ("value" in said)
		if code:
			raise TaskFailed(said["error"])
		return said["value"]

	def execute(self, code: str) -> Any:
		"""Run Python in the site, commit, and return what it assigned to `result`."""
		return interpreter.execute(self.bench, self.name, code)
