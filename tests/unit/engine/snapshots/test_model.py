"""What a plan may say about a snapshot, and that it says why it may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.plan.snapshots import Snapshot
from press_deploy.engine.snapshots import open_provider

UUID = "506f78a4-e098-11e5-ad9f-000f53306ae1"
GOOD = (
	{"provider": "aws"},
	{"provider": "aws", "volume": "vol-0123abcd", "region": "us-gov-west-1", "profile": "backup"},
	{"provider": "aws", "volume": "vol-0123456789abcdef0", "region": "ap-southeast-2"},
	{
		"provider": "gcp",
		"volume": "erp-disk",
		"zone": "northamerica-northeast1-a",
		"project": "shop-production",
	},
	{"provider": "gcp", "project": "example.com:shop-production"},
	{"provider": "digitalocean", "volume": UUID},
	{"provider": "digitalocean", "volume": "3164444", "resource": "droplet"},
	{"provider": "aws", "endpoint_url": "https://vpce-1.ec2.eu-west-3.vpce.amazonaws.com"},
	{"provider": "aws", "endpoint_url": "http://127.0.0.1:5000", "metadata_url": "http://169.254.169.254"},
	{"provider": "gcp", "timeout_seconds": 10, "poll_seconds": 10, "when_failed": "warn"},
)
HOSTILE = (
	"",
	" ",
	"-x",
	"--help",
	"../x",
	"a/b",
	"a?b",
	"a#b",
	"a%2fb",
	"a\nb",
	"a\0b",
	"é",
	"a b",
	"$(id)",
	"x" * 300,
)
BAD = (
	{"provider": "azure"},
	{"provider": "aws", "volume": "vol-0123ABCD"},
	{"provider": "aws", "volume": "vol-0123abcd\n"},
	{"provider": "aws", "volume": "snap-0123abcd"},
	{"provider": "aws", "volume": "erp-disk"},
	{"provider": "gcp", "volume": UUID.upper()},
	{"provider": "digitalocean", "volume": "3164444"},
	{"provider": "digitalocean", "volume": UUID, "resource": "droplet"},
	{"provider": "aws", "zone": "europe-west9-a"},
	{"provider": "gcp", "region": "eu-west-3"},
	{"provider": "gcp", "profile": "backup"},
	{"provider": "aws", "resource": "volume"},
	{"provider": "aws", "profile": "backup", "credentials": "settings"},
	{"provider": "aws", "timeout_seconds": 9},
	{"provider": "aws", "timeout_seconds": 86_401},
	{"provider": "aws", "timeout_seconds": "60"},
	{"provider": "aws", "timeout_seconds": 10, "poll_seconds": 11},
	{"provider": "aws", "poll_seconds": 0},
	{"provider": "aws", "token": "x"},
	{"provider": "aws", "endpoint_url": "http://ec2.example.com"},
	{"provider": "aws", "endpoint_url": "https://user:password@ec2.example.com"},
	{"provider": "aws", "endpoint_url": "https://ec2.example.com/path"},
	{"provider": "aws", "endpoint_url": "file:///etc/passwd"},
	{"provider": "aws", "metadata_url": "http://8.8.8.8"},
)


@pytest.mark.parametrize("given", GOOD)
def test_a_plan_may_say_this(given):
	spec = Snapshot(**given)
	assert Snapshot.model_validate_json(spec.model_dump_json()) == spec
	assert open_provider(spec).spec is spec


@pytest.mark.parametrize("given", BAD)
def test_a_plan_may_not_say_this_and_hears_why_and_what_to_do(given):
	with pytest.raises(ValidationError) as refusal:
		Snapshot(**given)
	(error,) = refusal.value.errors()
	assert error["type"] != "value_error" or "; " in error["msg"]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
	"field", ["volume", "region", "zone", "project", "profile", "endpoint_url", "metadata_url"]
)
def test_hostile_text_is_refused_in_each_field(field, value):
	for provider in ("aws", "gcp", "digitalocean"):
		with pytest.raises(ValidationError):
			Snapshot(**{"provider": provider, field: value})


@given(st.text(max_size=60))
def test_what_passes_as_a_volume_is_safe_in_a_path(value):
	for provider in ("aws", "gcp", "digitalocean"):
		try:
			Snapshot(provider=provider, volume=value)
		except ValidationError:
			continue
		assert value.isascii() and value.replace("-", "").isalnum() and not value.startswith("-")


@pytest.mark.parametrize(
	("provider", "credentials"),
	[
		("aws", None),
		("aws", {"access_key_id": "AKIA"}),
		("gcp", {"service_account_key": " "}),
		("digitalocean", {"token": ""}),
		("digitalocean", {"token": "a-secret\r\nX-Other: 1"}),
	],
)
def test_credentials_missing_or_broken_in_the_settings_are_refused_without_showing_them(
	provider, credentials
):
	spec = Snapshot(provider=provider, credentials="settings")
	with pytest.raises(InputError, match="Deployment Settings") as refusal:
		open_provider(spec, credentials)
	assert "a-secret" not in str(refusal.value)
