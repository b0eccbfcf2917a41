"""Safe places in a plan: what is hostile, contradictory or secret is refused."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from press_deploy.engine.plan.safe_places import DirectoryPlace, S3Place, SafePlaceSpec, SshPlace

from ..support import HOSTILE_TEXT

ADAPTER = TypeAdapter(SafePlaceSpec)
DIRECTORY = {"kind": "directory", "path": "/mnt/backups"}
S3 = {"kind": "s3", "bucket": "backups"}
SSH = {"kind": "ssh", "host": "backup@vault.example", "path": "/srv/backups"}
KINDS = {"directory": DIRECTORY, "s3": S3, "ssh": SSH}

HOSTILE = {
	("s3", "bucket"): [
		*HOSTILE_TEXT,
		"ab",
		"a" * 64,
		"Backups",
		"back_ups",
		"-backups",
		"backups-",
		".backups",
		"back..ups",
		"192.168.5.4",
		"xn--backups",
		"backups-s3alias",
		"arn:aws:s3:eu-west-3:1:accesspoint/x",
		"back/ups",
		"bäckups",
		"backups\u200b",
		"ｂackups",
		"-oProxyCommand=id",
		"backups\n",
	],
	("s3", "prefix"): [
		*filter(None, HOSTILE_TEXT),
		"/a",
		"a/",
		"a//b",
		"a/../b",
		"a/./b",
		".hidden",
		"a/-oProxyCommand",
		"-oProxyCommand=id",
		"a\u202eb",
		"a\u2215b",
		"é",
		"a?b",
		"a#b",
		"a%2e%2e",
		"a\n",
		"a" * 501,
	],
	("s3", "endpoint_url"): [
		*HOSTILE_TEXT,
		"https://key:secret@minio.example",
		"https://key@minio.example",
		"https://minio.example/path",
		"https://minio.example?x=1",
		"https://minio.example#x",
		"ftp://minio.example",
		"minio.example",
		"https://",
		"https://minio.example:x",
		"file:///etc/passwd",
	],
	("s3", "region"): [*HOSTILE_TEXT, "EU", "eu.west", "a" * 41, "é"],
	("s3", "profile"): [*HOSTILE_TEXT, "[default]", "a" * 65, "é"],
	("s3", "kms_key_id"): [*HOSTILE_TEXT, "é"],
	("s3", "server_side_encryption"): ["", "none", "aes256", True],
	("s3", "credentials"): ["", "AKIAIOSFODNN7EXAMPLE", {"access_key_id": "x"}, None],
	("s3", "secret_access_key"): ["x"],
	("directory", "path"): [*HOSTILE_TEXT, "relative", "/", "//x", "/a/../b", "/a/", "/é", "-/x"],
	("ssh", "path"): [*HOSTILE_TEXT, "relative", "/", "//x", "/a/../b", "/a b", "/$(id)", "/a'b"],
	("ssh", "host"): [
		*HOSTILE_TEXT,
		"-oProxyCommand=id",
		"-x@vault",
		"a@-x",
		"a@b@c",
		"vault:22",
		"é.example",
	],
	("ssh", "port"): [0, 65536, -1, "22", 22.5, True, None],
	("ssh", "identity_file"): [*HOSTILE_TEXT, "id_ed25519", "/a b", "/a'b", "/~/x\n"],
	("ssh", "password"): ["x"],
}
CASES = [(kind, field, value) for (kind, field), values in HOSTILE.items() for value in values]


@pytest.mark.parametrize("kind,field,value", CASES)
def test_a_hostile_value_is_refused_for_that_field(kind, field, value):
	with pytest.raises(ValidationError) as caught:
		ADAPTER.validate_python({**KINDS[kind], field: value})
	assert [error["loc"][:2] for error in caught.value.errors()] == [(kind, field)]


@pytest.mark.parametrize(
	"data,place",
	[
		(DIRECTORY, DirectoryPlace(path="/mnt/backups")),
		(S3, S3Place(bucket="backups")),
		(SSH, SshPlace(host="backup@vault.example", path="/srv/backups")),
	],
)
def test_the_least_is_enough_and_comes_back_from_json(data, place):
	assert ADAPTER.validate_python(data) == place
	assert ADAPTER.validate_json(place.model_dump_json()) == place


def test_everything_that_may_be_said():
	S3Place(
		bucket="press.backups-1",
		prefix="press/deploy_1/a=b",
		endpoint_url="https://minio.example:9000",
		region="eu-west-3",
		profile="backup.writer@press",
		server_side_encryption="aws:kms",
		kms_key_id="arn:aws:kms:eu-west-3:111122223333:key/1234abcd-12ab",
	)
	SshPlace(host="vault", port=2222, path="/srv/b", identity_file="/home/frappe/.ssh/id_ed25519")


@pytest.mark.parametrize(
	"fields,words",
	[
		({"kms_key_id": "alias/x"}, "server_side_encryption"),
		({"kms_key_id": "alias/x", "server_side_encryption": "AES256"}, "server_side_encryption"),
		({"profile": "x", "credentials": "settings"}, "exclude each other"),
	],
)
def test_contradictions_are_refused(fields, words):
	with pytest.raises(ValidationError, match=words):
		ADAPTER.validate_python({**S3, **fields})


@pytest.mark.parametrize(
	"data", [{}, {"kind": "ftp"}, {"path": "/x"}, {**DIRECTORY, "kind": "s3"}, None, "s3"]
)
def test_an_unknown_kind_is_refused(data):
	with pytest.raises(ValidationError):
		ADAPTER.validate_python(data)


def test_each_reason_has_a_remedy():
	for kind, field, value in CASES:
		with pytest.raises(ValidationError) as caught:
			ADAPTER.validate_python({**KINDS[kind], field: value})
		message = caught.value.errors()[0]["msg"]
		assert "; " in message or not message.startswith("Value error"), (kind, field, value, message)
