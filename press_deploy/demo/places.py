"""Where the parts of a practice bench are.

Invariant: sockets have paths that the system accepts, and root's helper a place that it accepts. So the
runtime directory is inside the practice bench if that will do, else in the system's temporary one.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from press_deploy.engine.ground.errors import InputError
from press_deploy.helper.errors import HelperError
from press_deploy.helper.trust import require_root_owned

SITE, TEST_SITE = "shop.localhost", "staging.localhost"
# A unix socket's path has at most 107 bytes; supervisor appends its process id while it creates it.
LONGEST_DIRECTORY = 80
# Supervisor's configuration gives a meaning to the others.
ACCEPTED_PATH = re.compile(r"[\w/.+@=-]+")


@dataclass(frozen=True)
class Places:
	"""The directories and files below the one that holds the whole practice bench."""

	directory: Path

	@classmethod
	def below(cls, directory: Path | str) -> Places:
		"""The places in a directory. Raises `InputError` for a path that services could not be given."""
		path = Path(directory).resolve()
		if not ACCEPTED_PATH.fullmatch(str(path)):
			remedy = "use letters, digits and . _ + @ = - in the names"
			raise InputError("directory", str(path), "the services can't be told this path", remedy)
		return cls(path)

	@property
	def bench(self) -> Path:
		return self.directory / "bench"

	@property
	def python(self) -> Path:
		"""The bench's own Python."""
		return self.bench / "env" / "bin" / "python"

	@property
	def origin(self) -> Path:
		return self.directory / "origin" / "shop.git"

	@property
	def safe(self) -> Path:
		"""The safe place for backups."""
		return self.directory / "safe"

	@property
	def app(self) -> Path:
		return self.bench / "apps" / "shop"

	@property
	def common_config(self) -> Path:
		return self.bench / "sites" / "common_site_config.json"

	@property
	def runtime(self) -> Path:
		"""For sockets, process ids, and the helper with all that is its own."""
		inside = self.directory / "run"
		if len(str(inside).encode()) <= LONGEST_DIRECTORY and _is_good_for_root(self.directory):
			return inside
		key = hashlib.sha256(str(self.directory).encode()).hexdigest()[:12]
		outside = Path(tempfile.gettempdir(), f"press-deploy-demo-{os.getuid()}-{key}")
		too_long = len(str(outside).encode()) > LONGEST_DIRECTORY
		return Path("/tmp", outside.name) if too_long else outside

	@property
	def supervisor_socket(self) -> Path:
		return self.runtime / "supervisor.sock"

	@property
	def helper_socket(self) -> Path:
		return self.runtime / "helper.sock"


def make_runtime_directory(places: Places) -> None:
	"""Make it, ours alone. Raises `InputError` when somebody else has made it before."""
	runtime = places.runtime
	runtime.mkdir(mode=0o700, exist_ok=True)
	status = runtime.lstat()
	if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
		raise InputError("runtime", str(runtime), "others could change what is in it", "remove it")


def _is_good_for_root(directory: Path) -> bool:
	if os.geteuid() != 0:
		return True
	try:
		# It may not be there yet; what is above it decides.
		require_root_owned(str(next(path for path in (directory, *directory.parents) if path.exists())))
	except HelperError:
		return False
	return True
