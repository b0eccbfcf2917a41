"""Safe places as a plan names them: a directory, a bucket of an object store, a directory of an SSH host.

Invariant: what passes is safe as an argument, a key and a path, and holds no secret: a plan says where
credentials come from, never what they are.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from press_deploy.engine.ground import inputs
from press_deploy.engine.plan.fields import AbsolutePath, Frozen

PREFIX_LIMIT = 500

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+\Z", re.ASCII)
# One part of a prefix; it begins with no dash and no dot, so it is no option and leads nowhere else.
_PREFIX_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=@+-]*\Z")
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
_KMS_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:/_-]{0,2047}\Z")


def bucket_name(value: str) -> str:
	"""The name of a bucket, by the rules of S3."""
	if not _BUCKET.match(value) or ".." in value or _ADDRESS.match(value):
		raise ValueError(
			"it is not a bucket name: 3 to 63 lower case letters, digits, dots and dashes; correct it"
		)
	if value.startswith(_RESERVED_STARTS) or value.endswith(_RESERVED_ENDS):
		raise ValueError("S3 keeps names like this for itself; name the bucket itself")
	return value


def key_prefix(value: str) -> str:
	"""What all keys of ours begin with, without a slash at either end; empty for none."""
	if len(value) > PREFIX_LIMIT:
		raise ValueError(f"it is longer than {PREFIX_LIMIT} characters; shorten it")
	if value and not all(_PREFIX_PART.match(part) for part in value.split("/")):
		raise ValueError(
			"it is not a plain prefix; write names of letters, digits and _ . = @ + - with single slashes between"
		)
	return value


def region_name(value: str) -> str:
	return inputs.matching(_REGION, value, "a region such as eu-west-3")


def kms_key(value: str) -> str:
	return inputs.matching(_KMS_KEY, value, "the id, alias or ARN of a KMS key")


class DirectoryPlace(Frozen):
	"""A directory that exists, on another disk than the bench if it is to be worth something."""

	kind: Literal["directory"] = "directory"
	path: AbsolutePath


class S3Place(Frozen):
	"""A bucket of S3, or of a store that speaks its protocol at `endpoint_url`.

	Credentials: `default` is boto3's own chain (environment, profile, instance role), `settings` those
	that Deployment Settings hold.
	"""

	kind: Literal["s3"] = "s3"
	bucket: Annotated[str, AfterValidator(bucket_name)]
	prefix: Annotated[str, AfterValidator(key_prefix)] = ""
	endpoint_url: Annotated[str, AfterValidator(inputs.base_url)] | None = None
	region: Annotated[str, AfterValidator(region_name)] | None = None
	profile: Annotated[str, AfterValidator(inputs.profile_name)] | None = None
	server_side_encryption: Literal["AES256", "aws:kms"] | None = None
	kms_key_id: Annotated[str, AfterValidator(kms_key)] | None = None
	credentials: Literal["default", "settings"] = "default"

	@model_validator(mode="after")
	def _does_not_contradict_itself(self) -> S3Place:
		if self.kms_key_id and self.server_side_encryption != "aws:kms":
			raise ValueError("kms_key_id is for server_side_encryption aws:kms; set both or neither")
		if self.profile and self.credentials == "settings":
			raise ValueError("a profile and credentials from the settings exclude each other; keep one")
		return self


class SshPlace(Frozen):
	"""A directory that exists on a host with sshd, rsync and sha256sum."""

	kind: Literal["ssh"] = "ssh"
	host: Annotated[str, AfterValidator(inputs.ssh_host)]
	port: Annotated[int, Field(ge=1, le=65535)] = 22
	path: AbsolutePath
	identity_file: AbsolutePath | None = None


SafePlaceSpec = Annotated[DirectoryPlace | S3Place | SshPlace, Field(discriminator="kind")]
