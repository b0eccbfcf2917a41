"""Fixtures of the helper's tests."""

import shutil
import tempfile
from pathlib import Path

import pytest

from .support import make_bench


@pytest.fixture
def directory():
	"""A directory with a path short enough for unix sockets, which other users may enter."""
	path = Path(tempfile.mkdtemp(prefix="pd-", dir="/tmp"))
	path.chmod(0o755)
	yield path
	shutil.rmtree(path)


@pytest.fixture
def bench(directory):
	return make_bench(directory / "shop")
