"""A bench as the engine sees it: paths, sites, addresses. It reads files and changes none.

What a bench does differently from Frappe's (the practice bench does) stands in its own
`config/press_deploy.json`: `site_process` (module), `web_application`, `helper_socket`, `helper_bench`,
`supervisor_socket`.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from press_deploy.engine.ground.errors import InputError

DESCRIPTOR = "config/press_deploy.json"
PRACTICE = "bench"


@dataclass(frozen=True)
class Bench:
	path: Path

	@classmethod
	def open(cls, path: Path | str) -> Bench:
		"""The bench in a directory. Raises `InputError` when it isn't one."""
		bench = cls(Path(path).resolve())
		if (bench.path / PRACTICE / DESCRIPTOR).is_file():
			# The directory that `press-deploy demo` was given; the bench is inside.
			bench = cls(bench.path / PRACTICE)
		missing = [name for name in ("apps", "sites", "config", "logs") if not (bench.path / name).is_dir()]
		if missing:
			raise InputError(
				"bench",
				str(path),
				f"it has no {', '.join(missing)} directory, so it is not a bench",
				"pass the directory that holds apps, sites, config and logs: --bench DIR",
			)
		return bench

	@property
	def name(self) -> str:
		return self.path.name

	@property
	def sites_directory(self) -> Path:
		return self.path / "sites"

	@property
	def logs(self) -> Path:
		return self.path / "logs"

	@property
	def deployments(self) -> Path:
		return self.path / "deployments"

	@property
	def common_config(self) -> Path:
		return self.sites_directory / "common_site_config.json"

	@property
	def environment(self) -> Path:
		"""The bench's virtual environment."""
		return (self.path / "env").resolve()

	@property
	def python(self) -> str:
		"""The interpreter of the bench's environment. No other takes its place: what it was told would change that."""
		return str(self.path / "env" / "bin" / "python")

	def command_to_type(self, *words: str) -> str:
		"""The `press-deploy` command for this bench, as a person can paste it at any prompt."""
		own = self.path / "env" / "bin" / "press-deploy"
		if own.exists():
			# It knows the bench that it is installed on.
			return shlex.join([str(own), *words])
		return shlex.join(["press-deploy", *words, "--bench", str(self.path)])

	@cached_property
	def descriptor(self) -> dict[str, Any]:
		return _read_object(self.path / DESCRIPTOR)

	@property
	def site_process(self) -> str:
		"""The module that does a task inside Frappe."""
		return self.descriptor.get("site_process", "press_deploy.site.process")

	@property
	def web_application(self) -> str:
		"""What gunicorn serves."""
		return self.descriptor.get("web_application", "frappe.app:application")

	@property
	def is_for_practice(self) -> bool:
		"""Whether the demonstration made it, and starts and stops its services."""
		return self.web_application.startswith("press_deploy.demo.")

	def app(self, name: str) -> Path:
		return self.path / "apps" / name

	def site(self, name: str) -> Path:
		return self.sites_directory / name

	def site_config(self, name: str) -> Path:
		return self.site(name) / "site_config.json"

	def sites(self) -> list[str]:
		"""The names of all sites, sorted."""
		return sorted(path.parent.name for path in self.sites_directory.glob("*/site_config.json"))

	def apps(self) -> list[str]:
		"""The names in sites/apps.txt."""
		try:
			return (self.sites_directory / "apps.txt").read_text().split()
		except FileNotFoundError:
			return []

	def read_common_config(self) -> dict[str, Any]:
		return _read_object(self.common_config)

	def read_config(self, site: str) -> dict[str, Any]:
		"""What the site sees: its own keys over the common ones."""
		return {**self.read_common_config(), **_read_object(self.site_config(site))}

	def sites_in_maintenance(self, sites: list[str]) -> list[str]:
		"""Those of these sites whose configuration says that they are closed."""
		return [site for site in sites if self.read_config(site).get("maintenance_mode")]

	@property
	def web_port(self) -> int:
		return int(self.read_common_config().get("webserver_port", 8000))

	@property
	def web_address(self) -> str:
		"""Where the bench's own web server listens, behind any proxy."""
		return f"http://127.0.0.1:{self.web_port}"


def _read_object(path: Path) -> dict[str, Any]:
	try:
		data = json.loads(path.read_text())
	except FileNotFoundError:
		return {}
	except ValueError as error:
		raise InputError(str(path), path.name, f"it is not JSON ({error})", "mend the file by hand") from None
	if not isinstance(data, dict):
		raise InputError(str(path), data, "it is not a JSON object", "mend the file by hand")
	return data
