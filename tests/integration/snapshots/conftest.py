"""The three providers on loopback, and plans that point to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from tests.support.cloud_models import one_reading
from tests.support.cloud_providers import AwsMetadata, FakeTime, FaultProxy

from .digital_ocean import TOKEN, DigitalOceanCloud
from .google_cloud import GoogleCloud

_CREDENTIAL_VARIABLES = (
	"AWS_PROFILE",
	"AWS_SESSION_TOKEN",
	"AWS_REGION",
	"AWS_DEFAULT_REGION",
	"AWS_ENDPOINT_URL",
	"GOOGLE_APPLICATION_CREDENTIALS",
	"DIGITALOCEAN_ACCESS_TOKEN",
	"DIGITALOCEAN_TOKEN",
)


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
	"""No credentials but the test's own."""
	for variable in _CREDENTIAL_VARIABLES:
		monkeypatch.delenv(variable, raising=False)
	monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
	monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
	monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
	monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-secret")
	monkeypatch.setenv("DIGITALOCEAN_TOKEN", TOKEN)
	monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def fake_time() -> FakeTime:
	return FakeTime()


@pytest.fixture
def google() -> Iterator[GoogleCloud]:
	yield from _serve(GoogleCloud())


@pytest.fixture
def digital_ocean() -> Iterator[DigitalOceanCloud]:
	yield from _serve(DigitalOceanCloud())


@pytest.fixture(scope="session", autouse=True)
def one_reading_of_the_models() -> Iterator[None]:
	with one_reading():
		yield


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
	server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
	server.start()
	host, port = server.get_host_and_port()
	yield f"http://{host}:{port}"
	server.stop()


@pytest.fixture
def ec2(moto_url: str) -> Iterator[FaultProxy]:
	yield from _serve(FaultProxy(moto_url))


@pytest.fixture
def aws_metadata() -> Iterator[AwsMetadata]:
	yield from _serve(AwsMetadata({"placement/region": "eu-west-3"}))


def _serve(server):
	"""A server for one test; at its end every request has to have been as documented."""
	try:
		yield server
		assert server.wrong == []
	finally:
		server.close()
