"""Fixtures: files of a backup, a store with a bucket, and a clean surrounding for credentials."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from press_deploy.engine.plan.safe_places import S3Place
from press_deploy.engine.safe_places import s3_client, s3_transfer
from press_deploy.engine.safe_places.base import StoredFile
from tests.support.cloud_models import one_reading
from tests.support.object_store import SECRET, FaultyStore, faulty_proxy, running_store
from tests.support.small_disk import small_disk

BUCKETS = itertools.count()
MEBIBYTE = 1 << 20
# The least that S3 takes.
PART_BYTES = 5 * MEBIBYTE

MakeFile = Callable[..., StoredFile]


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
	"""Makes a file of a backup, with content that repeats nowhere."""
	directory = tmp_path / "backup"
	directory.mkdir()

	def make(name: str = "database.sql.gz", size: int = 1000) -> StoredFile:
		content = random.Random(name).randbytes(size)
		(directory / name).write_bytes(content)
		return StoredFile(directory / name, name, size, hashlib.sha256(content).hexdigest())

	return make


@pytest.fixture
def full_disk() -> Iterator[Callable[[Path, int], Path]]:
	"""Mounts a disk of so many bytes on a directory; only root may."""
	with ExitStack() as disks:

		def mount(directory: Path, size: int) -> Path:
			disks.enter_context(small_disk(directory, str(size)))
			return directory

		yield mount


@pytest.fixture(scope="session", autouse=True)
def one_reading_of_the_models() -> Iterator[None]:
	with one_reading():
		yield


@pytest.fixture(scope="session")
def store_url() -> Iterator[str]:
	with running_store() as url:
		yield url


@pytest.fixture
def store(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStore]:
	"""The proxy before the store, with credentials in the environment and short waits."""
	for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
		monkeypatch.delenv(name)
	monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
	monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
	monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
	monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
	monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
	monkeypatch.setattr(s3_client, "ATTEMPTS", 2)
	monkeypatch.setattr(s3_transfer, "PART_BYTES", PART_BYTES)
	with faulty_proxy(store_url) as faulty:
		yield faulty


@pytest.fixture
def spec(store: FaultyStore) -> S3Place:
	"""A place in a bucket of its own, reached through the proxy."""
	bucket = f"backups-{os.getpid()}-{next(BUCKETS)}"
	store.client().create_bucket(Bucket=bucket)
	return S3Place(bucket=bucket, prefix="press/deploy", endpoint_url=store.url, region="us-east-1")
