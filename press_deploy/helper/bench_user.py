"""Does tasks inside a bench with the rights of the bench's user.

Invariant: a process that is root (and whose bench is not root's) touches no file of the bench itself;
it starts a child that gives up root first, and believes nothing that the child answers: its answer is
limited in size and time, and checked by whoever asked.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from . import bench_tasks, protocol
from .configuration import Bench
from .errors import BadRequest, ConfigurationRefused, OperationFailed, from_wire
from .service_files import ISOLATION

CHILD_SECONDS = 9.0
CODE_DIRECTORY = str(Path(__file__).resolve().parents[2])
PROGRAM = (
	"import sys; sys.path.insert(0, sys.argv[1]); "
	"from press_deploy.helper.bench_tasks import serve_one_task; serve_one_task()"
)


class BenchUser:
	"""The user of one bench, as whom tasks are done."""

	def __init__(self, bench: Bench):
		if os.geteuid() not in (0, bench.uid):
			raise ConfigurationRefused(
				f"The bench {bench.path} belongs to {bench.user}, and this process is user id "
				f"{os.geteuid()}. Run it as {bench.user}, or install the helper."
			)
		self.bench = bench

	def perform(self, task: str, **arguments) -> dict:
		"""Do one of `bench_tasks.TASKS` and return its result. Raises HelperError."""
		if os.geteuid() == self.bench.uid:
			return bench_tasks.TASKS[task](path=self.bench.path, **arguments)
		process, connection = self._start_child()
		with connection, process:
			try:
				return self._converse(connection, task, arguments)
			finally:
				process.kill()

	def launch(self, run: str) -> subprocess.Popen:
		"""Start the runner of a run, detached from us; return its process. Raises HelperError."""
		process, connection = self._start_child()
		with connection:
			try:
				self._converse(connection, "launch_runner", {"run": run, "runner": list(self.bench.runner)})
			except BaseException:
				process.kill()
				process.wait()
				raise
		return process

	def _start_child(self) -> tuple[subprocess.Popen, socket.socket]:
		ours, theirs = socket.socketpair()
		with theirs:
			try:
				process = subprocess.Popen(
					[sys.executable, *ISOLATION, "-c", PROGRAM, CODE_DIRECTORY],
					stdin=theirs,
					stdout=subprocess.DEVNULL,
					stderr=subprocess.DEVNULL,
					cwd="/",
					env=bench_tasks.build_environment(self.bench.user, self.bench.home),
					start_new_session=True,
					**self._identity(),
				)
			except (OSError, subprocess.SubprocessError) as error:
				ours.close()
				raise OperationFailed(f"No process could be started as {self.bench.user}: {error}") from error
		return process, ours

	def _identity(self) -> dict:
		if os.geteuid() == self.bench.uid:
			return {}
		groups = os.getgrouplist(self.bench.user, self.bench.gid)
		return {"user": self.bench.uid, "group": self.bench.gid, "extra_groups": groups}

	def _converse(self, connection: socket.socket, task: str, arguments: dict) -> dict:
		deadline = protocol.deadline_in(CHILD_SECONDS)
		request = {"task": task, "arguments": {"path": self.bench.path, **arguments}}
		try:
			answer = protocol.ask(connection, request, deadline)
		except (OSError, BadRequest) as error:
			raise OperationFailed(
				f"The task {task} in {self.bench.path}, done as {self.bench.user}, gave no answer: {error}"
			) from error
		if answer.get("ok") is not True:
			raise from_wire(answer.get("error"))
		result = answer.get("result")
		if not isinstance(result, dict):
			raise OperationFailed(f"The task {task} in {self.bench.path} gave an answer that makes no sense.")
		return result
