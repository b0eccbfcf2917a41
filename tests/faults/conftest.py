"""One practice bench for many faults: each test finds it as it was built, and leaves nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from press_deploy.demo.build import build_bench
from press_deploy.demo.practice_bench import PracticeBench
from press_deploy.engine.journal import projection
from press_deploy.engine.journal.run_directory import RunDirectory
from press_deploy.engine.journal.state import State, load_state
from press_deploy.engine.snapshots.aws import Aws
from tests.faults.bench_state import (
	HANG_SECONDS,
	backup_settings,
	create_run,
	quick_plan,
	reset,
	resume,
	write,
)
from tests.faults.needs import FORWARD_NEEDS
from tests.support.cloud_models import one_reading
from tests.support.practice_bench import git

# A step → what makes a plan need it.
NeedsOf = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PracticeBench, Path]]:
	directory = tmp_path_factory.mktemp("faults")
	bench = build_bench(directory / "practice")
	try:
		bench.start()
		pristine = directory / "pristine"
		shutil.copytree(bench.path / "sites", pristine / "sites", symlinks=True)
		shutil.copytree(bench.path / "sites" / "assets", pristine / "assets")
		shutil.copytree(bench.places.app / "shop" / "public" / "dist", pristine / "dist")
		(packages,) = (bench.path / "env").glob("lib/python*/site-packages")
		shutil.copytree(packages, pristine / "site-packages")
		(pristine / "commit").write_text(git(bench, "rev-parse", "HEAD"))
		yield bench, pristine
	finally:
		bench.kill()


@pytest.fixture
def bench(shared_bench: tuple[PracticeBench, Path], monkeypatch: pytest.MonkeyPatch) -> PracticeBench:
	# A run is projected when it begins, before its database has to stand still, and in the end. What else is due
	# depends on how fast this machine is, and shows nothing more.
	monkeypatch.setattr(projection, "PAUSE_SECONDS", HANG_SECONDS)
	practice, pristine = shared_bench
	reset(practice, pristine)
	return practice


@pytest.fixture
def live(bench: PracticeBench) -> RunDirectory:
	"""A run that migrated and is live, with a row of the users' in its database."""
	run = create_run(bench, quick_plan(bench, "migrating", migrate="always"))
	assert resume(bench, run) is State.SUCCEEDED, load_state(run).reason
	write(bench, "of a user")
	return run


@pytest.fixture
def needs_of(bench: PracticeBench, request: pytest.FixtureRequest) -> NeedsOf:
	"""What a plan has to say so that a step is not skipped."""

	def find(step: str) -> dict[str, Any]:
		if step == "bootable":
			return {"backup": {**backup_settings(bench), "required_rung": 5}}
		if step == "cloud-snapshot":
			return {"backup": {**backup_settings(bench), "snapshot": request.getfixturevalue("volume")}}
		return FORWARD_NEEDS.get(step, {})

	return find


@pytest.fixture(scope="session")
def cloud_models() -> Iterator[None]:
	with one_reading():
		yield


@pytest.fixture
def volume(cloud_models: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
	"""A volume at a provider on loopback, as a plan names it."""
	monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
	monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-secret")
	monkeypatch.setenv("NO_PROXY", "127.0.0.1")
	# This provider lists a snapshot as soon as it has one.
	monkeypatch.setattr(Aws, "settle_seconds", 0.2)
	server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
	server.start()
	try:
		endpoint = "http://{}:{}".format(*server.get_host_and_port())
		provider = {"region": "eu-west-3", "endpoint_url": endpoint}
		client = boto3.client("ec2", region_name=provider["region"], endpoint_url=endpoint)
		made = client.create_volume(AvailabilityZone="eu-west-3a", Size=8)
		yield {"provider": "aws", "volume": made["VolumeId"], "poll_seconds": 1, **provider}
	finally:
		server.stop()
