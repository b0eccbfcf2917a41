"""A practice bench with its services: supervisor with web server and worker, and a helper of its own.

Invariant: `stop` leaves no process behind, however it was that the services ended.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from press_deploy.demo import processes, service_files
from press_deploy.demo.places import SITE, Places, make_runtime_directory
from press_deploy.demo.ports import choose_port
from press_deploy.demo.practice_plan import make_plan
from press_deploy.engine.bench.answer import Answer
from press_deploy.engine.bench.web import fetch
from press_deploy.engine.ground import durable
from press_deploy.engine.plan.spec import PlanSpec
from press_deploy.helper import configuration, installed_files
from press_deploy.helper.client import HelperClient
from press_deploy.helper.discovery import discover
from press_deploy.helper.errors import HelperError

START_SECONDS = 60.0
WEB_APPLICATION = "press_deploy.demo.web:application"


@dataclass
class PracticeBench:
	"""One practice bench; `places` says where its parts are."""

	places: Places
	_children: list[subprocess.Popen] = field(default_factory=list, repr=False)

	@property
	def directory(self) -> Path:
		return self.places.directory

	@property
	def path(self) -> Path:
		"""The bench itself, as `Bench.open` takes it."""
		return self.places.bench

	@property
	def port(self) -> int:
		return json.loads(self.places.common_config.read_text())["webserver_port"]

	@property
	def address(self) -> str:
		return f"http://127.0.0.1:{self.port}"

	@property
	def helper(self) -> HelperClient:
		return HelperClient(str(self.places.helper_socket), self.path.name)

	def configure(self) -> None:
		"""Write what depends on the machine: a port that is free now, and where the sockets are."""
		make_runtime_directory(self.places)
		common = json.loads(self.places.common_config.read_text())
		port = choose_port(common.get("webserver_port"))
		if port != common.get("webserver_port"):
			durable.write_json(self.places.common_config, {**common, "webserver_port": port}, 0o644)
		descriptor = {
			"site_process": "press_deploy.demo.site_process",
			"web_application": WEB_APPLICATION,
			"helper_socket": str(self.places.helper_socket),
			"helper_bench": self.path.name,
			"supervisor_socket": str(self.places.supervisor_socket),
		}
		config = self.path / "config"
		durable.write_json(config / "press_deploy.json", descriptor, 0o644)
		durable.write_text(
			config / "supervisord.conf", service_files.describe_supervisord(self.places), 0o644
		)
		gunicorn = self.path / "sites" / "gunicorn.conf.py"
		durable.write_text(gunicorn, service_files.GUNICORN, 0o644)
		programs = service_files.describe_programs(self.places, port)
		durable.write_text(config / "supervisor.conf", programs, 0o644)

	def start(self) -> None:
		"""Start the services and the helper; return when they work. What was left running is ended first."""
		self.stop()
		self.configure()
		try:
			self._start_supervisor()
			self._start_helper()
			self._wait_until_ready()
		except BaseException:
			self.stop()
			raise

	def stop(self) -> None:
		"""End every process of this bench, runs included."""
		self._end(processes.end_all)

	def kill(self) -> None:
		"""Like `stop`, but by force and at once."""
		self._end(processes.kill_all)

	def _end(self, end: Callable[[Places], None]) -> None:
		end(self.places)
		for child in self._children:
			child.wait()
		self._children.clear()

	def remove(self) -> None:
		"""Stop, and delete everything of this bench."""
		self.stop()
		for directory in (self.places.runtime, self.directory):
			shutil.rmtree(directory, ignore_errors=True)

	def ask(self, path: str = "/api/method/ping", site: str = SITE) -> Answer:
		"""What the web server answers to a visitor of a site."""
		return fetch(f"{self.address}{path}", headers={"Host": site})

	def served_version(self) -> str | None:
		"""The version that the web server says it serves; None when it serves none."""
		answer = self.ask("/api/method/version")
		return json.loads(answer.text)["message"] if answer.status == 200 else None

	def plan(self, release: str, monitor_seconds: float = 10.0, **overrides: Any) -> PlanSpec:
		"""The plan that deploys a release here; `overrides` replace whole fields of the plan spec."""
		return make_plan(self.places, release, monitor_seconds, **overrides)

	def _start_supervisor(self) -> None:
		file = str(self.path / "config" / "supervisord.conf")
		self._launch(
			[str(self.places.python), "-m", "supervisor.supervisord", "--configuration", file], "supervisord"
		)

	def _start_helper(self) -> None:
		"""Install and start the helper as for a real bench, except that it runs as the bench's own user."""
		runtime = self.places.runtime
		entry = processes.wait_for(self._discover, START_SECONDS, f"supervisor; see {runtime}")
		settings = {
			"version": configuration.VERSION,
			"socket": str(self.places.helper_socket),
			"state": str(runtime / "state"),
			"audit_log": str(runtime / "helper" / "audit.log"),
			"benches": {self.path.name: entry},
		}
		installed_files.copy_code(str(runtime / "library"))
		file = str(runtime / "helper.json")
		installed_files.write(file, configuration.dump(settings), 0o600)
		self._launch(
			[str(self.places.python), "-I", "-B", str(runtime / "library"), "--config", file], "helper"
		)

	def _launch(self, command: list[str], name: str) -> None:
		self._children.append(processes.launch(self.places, command, self.places.runtime / f"{name}.out"))

	def _discover(self) -> dict[str, Any] | None:
		try:
			return discover(str(self.path), str(self.places.supervisor_socket))
		except HelperError:
			return None

	def _wait_until_ready(self) -> None:
		"""Until every program runs and the web server answers, be it that it is in maintenance."""
		processes.wait_for(self._is_ready, START_SECONDS, f"the services; see {self.path / 'logs'}")

	def _is_ready(self) -> bool:
		ended = [child.args for child in self._children if child.poll() is not None]
		if ended:
			raise RuntimeError(f"{' '.join(ended[0])} ended at once; see {self.places.runtime}")
		try:
			programs = self.helper.status()["programs"]
		except HelperError:
			return False
		return all(each["state"] == "RUNNING" for each in programs) and self.ask().status is not None
