"""Snapshots of EBS volumes at AWS.

Invariant: each call is made once; what is asked again is decided in `taking.py` alone. A snapshot belongs to a
run when it carries the run's tag and is of this volume.

Source: Amazon EC2 API reference: CreateSnapshot, DescribeSnapshots, DescribeInstances, DescribeVolumes, "Error
codes", "Ensuring eventual consistency".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from press_deploy.engine.plan.snapshots import Snapshot, region_name, volume_id
from press_deploy.engine.snapshots import names
from press_deploy.engine.snapshots.base import Provider, ProviderTrouble, SnapshotStatus, shorten
from press_deploy.engine.snapshots.metadata import InstanceMetadata
from press_deploy.engine.snapshots.rest import CONNECT_SECONDS, READ_SECONDS, REMEDIES, read_pause

INSTANCE = r"i-[0-9a-f]{8,17}"
REGION = r"[a-z]{2,4}(-[a-z]{2,12}){1,3}-[0-9]{1,2}"
STATES = {"pending": "pending", "completed": "completed", "error": "failed"}
_PASSING_CODES = {
	"RequestLimitExceeded",
	"Throttling",
	"ThrottlingException",
	"RequestThrottled",
	"SnapshotCreationPerVolumeRateExceeded",
	"ConcurrentSnapshotLimitExceeded",
	"InternalError",
	"InternalFailure",
	"ServiceUnavailable",
	"Unavailable",
}
_BAD_CREDENTIALS = {
	"AuthFailure",
	"ExpiredToken",
	"RequestExpired",
	"InvalidClientTokenId",
	"SignatureDoesNotMatch",
}
_TOO_LITTLE_RIGHT = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}
# All that boto3 and an answer that is not EC2's let out; `_explain` puts it into our words.
_FOREIGN_ERRORS = (
	ClientError,
	BotoCoreError,
	ResponseParserError,
	OSError,
	KeyError,
	IndexError,
	TypeError,
	ValueError,
)
# Their text is about the machine's own set-up, and asking again does not change it.
_SETUP_ERRORS = {
	"NoCredentialsError": "there are no credentials: no environment variable, profile or instance role",
	"PartialCredentialsError": "the credentials are incomplete",
	"ProfileNotFound": "the profile is not in ~/.aws/config",
	"ConfigParseError": "~/.aws/config cannot be read",
}


class Aws(Provider):
	"""An EBS volume. `credentials`: access_key_id, secret_access_key and perhaps session_token."""

	title = "AWS"
	settle_seconds = 15.0

	def __init__(self, spec: Snapshot, credentials: Mapping[str, str] | None = None):
		super().__init__(spec)
		self._credentials = credentials
		self._metadata = InstanceMetadata("aws", spec.metadata_url)
		self._connected: Any = None

	def find_existing(self, run: str) -> SnapshotStatus | None:
		filters = [
			{"Name": f"tag:{names.RUN_TAG}", "Values": [run]},
			{"Name": "volume-id", "Values": [self.find_volume()]},
		]
		found = self._call(
			"Looking for the snapshot of",
			lambda ec2: [
				_read_status(snapshot)
				for page in ec2.get_paginator("describe_snapshots").paginate(
					OwnerIds=["self"], Filters=filters
				)
				for snapshot in page["Snapshots"]
			],
		)
		preference = ("completed", "pending", "unknown", "failed")
		return min(found, key=lambda status: (preference.index(status.state), status.id), default=None)

	def start(self, volume: str, tags: Mapping[str, str]) -> str:
		name = names.name_snapshot(tags["run"], volume)
		tagged = [{"ResourceType": "snapshot", "Tags": names.aws_tags(tags, name)}]
		return self._call(
			"Asking for a snapshot of",
			lambda ec2: ec2.create_snapshot(VolumeId=volume, Description=name, TagSpecifications=tagged)[
				"SnapshotId"
			],
		)

	def _ask_status(self, snapshot: str) -> SnapshotStatus:
		return self._call(
			"Asking about a snapshot of",
			lambda ec2: _read_status(ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]),
		)

	def _discover_volume(self) -> str:
		instance = self._metadata.read_aws("instance-id", INSTANCE)
		root_device, volumes = self._call(
			"Asking about the instance for",
			lambda ec2: _read_volumes(ec2.describe_instances(InstanceIds=[instance])),
		)
		root = volumes.get(root_device)
		if len(volumes) == 1:
			root = next(iter(volumes.values()))
		elif root:
			self._volume_note = f"{instance} has {len(volumes)} volumes; the root device's, {root}, is taken"
		if not root:
			why = f"{instance} has {len(volumes)} EBS volumes and none is its root device"
			raise ProviderTrouble(
				"Finding", "the volume of this instance", why, "name volume in the plan", refused=True
			)
		return self._call("Reading the instance for", lambda ec2: volume_id(root, "aws"))

	def _describe_volume(self, volume: str) -> str:
		found = self._call("Asking about", lambda ec2: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0])
		return f"{volume} ({found.get('Size')} GiB, {found.get('State')}, {found.get('AvailabilityZone')})"

	def _check_permission(self, volume: str) -> str:
		tagged = [{"ResourceType": "snapshot", "Tags": names.aws_tags({"run": "check"}, "check")}]
		try:
			self._connect().create_snapshot(VolumeId=volume, TagSpecifications=tagged, DryRun=True)
		except _FOREIGN_ERRORS as error:
			if getattr(error, "response", {}).get("Error", {}).get("Code") == "DryRunOperation":
				return "a snapshot of it is allowed (dry run)"
			raise self._explain("Trying a dry run on", error) from None
		raise ProviderTrouble(
			"Trying a dry run on", volume, "AWS gave no word on it", "see what answers at this address"
		)

	# --- the connection ------------------------------------------------------------------------

	def _connect(self) -> Any:
		if self._connected is None:
			own = botocore.session.Session(profile=self.spec.profile)
			if self.spec.metadata_url:
				own.set_config_variable("ec2_metadata_service_endpoint", self.spec.metadata_url)
			given = self._credentials or {}
			session = boto3.session.Session(
				aws_access_key_id=given.get("access_key_id"),
				aws_secret_access_key=given.get("secret_access_key"),
				aws_session_token=given.get("session_token") or None,
				botocore_session=own,
			)
			self._connected = session.client(
				"ec2",
				region_name=self._find_region(session),
				endpoint_url=self.spec.endpoint_url,
				config=Config(
					connect_timeout=CONNECT_SECONDS,
					read_timeout=READ_SECONDS,
					retries={"mode": "standard", "total_max_attempts": 1},
				),
			)
		return self._connected

	def _find_region(self, session: boto3.session.Session) -> str:
		found = self.spec.region or session.region_name
		return found or region_name(self._metadata.read_aws("placement/region", REGION))

	def _call(self, doing: str, act: Callable[[Any], Any]) -> Any:
		try:
			return act(self._connect())
		except _FOREIGN_ERRORS as error:
			raise self._explain(doing, error) from None

	@property
	def _named(self) -> str:
		return self._volume or "the volume of this instance"

	def _explain(self, doing: str, error: Exception) -> ProviderTrouble:
		"""What boto3 raised, in our words."""
		if not isinstance(error, ClientError):
			kind = type(error).__name__
			if kind in _SETUP_ERRORS:
				self._connected = None
				remedy = "give this machine credentials for AWS, or name a profile in the plan"
				return ProviderTrouble(doing, self._named, _SETUP_ERRORS[kind], remedy, refused=True)
			why = f"there was no usable answer from EC2 ({kind})"
			return ProviderTrouble(doing, self._named, why, "see whether this machine reaches EC2")
		said, about = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
		code, status = str(said.get("Code", "")), int(about.get("HTTPStatusCode", 0))
		passing = status >= 500 or status == 429 or code in _PASSING_CODES
		remedy = "see what AWS says about this error code"
		if code in _BAD_CREDENTIALS:
			# Renewed credentials are read by a new connection only.
			self._connected, remedy = None, REMEDIES[401]
		elif code in _TOO_LITTLE_RIGHT:
			remedy = "allow ec2:CreateSnapshot, CreateTags, DescribeSnapshots, DescribeVolumes and DescribeInstances"
		elif code.endswith((".NotFound", ".Malformed")):
			remedy = "see whether the volume is in this region and account"
		why = f"AWS answered {code or status}: {shorten(said.get('Message', ''))}"
		pause = read_pause(
			{key.title(): value for key, value in about.get("HTTPHeaders", {}).items()}, status
		)
		return ProviderTrouble(
			doing, self._named, why, remedy, refused=not passing, status=status, retry_after=pause
		)


def _read_volumes(answer: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
	"""An instance's root device, and its EBS volumes by device."""
	machine = answer["Reservations"][0]["Instances"][0]
	mappings = [mapping for mapping in machine.get("BlockDeviceMappings", []) if "Ebs" in mapping]
	volumes = {mapping["DeviceName"]: mapping["Ebs"]["VolumeId"] for mapping in mappings}
	return machine.get("RootDeviceName", ""), volumes


def _read_status(snapshot: Mapping[str, Any]) -> SnapshotStatus:
	progress = str(snapshot.get("Progress") or "").removesuffix("%")
	return SnapshotStatus(
		snapshot["SnapshotId"],
		STATES.get(snapshot.get("State", ""), "unknown"),
		float(progress) if progress.isdecimal() else None,
		shorten(snapshot.get("StateMessage") or f"AWS says: {snapshot.get('State')}"),
	)
