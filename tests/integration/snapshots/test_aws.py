"""EBS snapshots against moto's EC2 over HTTP, with faults on the way."""

from __future__ import annotations

import boto3
import pytest
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import Snapshot as MotoSnapshot
from moto.instance_metadata.responses import INSTANCE_METADATA

from press_deploy.engine.ground.checks import FAILED, OK, WARNING
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.plan.snapshots import Snapshot
from press_deploy.engine.snapshots import open_provider
from press_deploy.engine.snapshots.base import SnapshotStatus
from press_deploy.engine.snapshots.taking import take_snapshot
from tests.support.cloud_providers import AwsMetadata, FakeTime, FaultProxy

TAGS = {"run": "20260101-000000-release-ab12", "plan": "Mise à jour d'été"}
REGION = "eu-west-3"
NOTHING = b"<DescribeSnapshotsResponse><snapshotSet/></DescribeSnapshotsResponse>"


def error(code: str, message: str = "the reason") -> bytes:
	return (
		f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
		"<RequestID>1</RequestID></Response>"
	).encode()


@pytest.fixture(scope="module")
def client(moto_url: str):
	keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "aws-secret"}
	return boto3.client("ec2", region_name=REGION, endpoint_url=moto_url, **keys)


@pytest.fixture
def volume(client) -> str:
	return client.create_volume(AvailabilityZone="eu-west-3a", Size=40)["VolumeId"]


@pytest.fixture
def pending(monkeypatch: pytest.MonkeyPatch) -> None:
	"""A snapshot begins as pending, as it does at AWS."""
	begin = MotoSnapshot.__init__

	def begin_pending(self, *arguments, **more) -> None:
		begin(self, *arguments, **more)
		self.status = "pending"

	monkeypatch.setattr(MotoSnapshot, "__init__", begin_pending)
	monkeypatch.setattr(MotoSnapshot, "progress", property(lambda self: "40%"))


def spec_for(ec2: FaultProxy, volume: str | None, **more) -> Snapshot:
	return Snapshot(provider="aws", volume=volume, endpoint_url=ec2.url, **{"region": REGION, **more})


def snapshots_of(client, volume: str) -> list[dict]:
	return client.describe_snapshots(Filters=[{"Name": "volume-id", "Values": [volume]}])["Snapshots"]


def set_state(volume: str, state: str) -> int:
	"""Let the snapshots of a volume come to another state; returns how many there were."""
	found = [
		one for one in ec2_backends["123456789012"][REGION].snapshots.values() if one.volume.id == volume
	]
	for one in found:
		one.status = state
	return len(found)


def take(spec: Snapshot, fake_time: FakeTime, seen: list[SnapshotStatus] | None = None, **more) -> dict:
	on_progress = seen.append if seen is not None else None
	return take_snapshot(open_provider(spec), spec, TAGS, on_progress, **fake_time.ports, **more)


def test_a_snapshot_is_polled_until_it_is_completed_and_carries_run_and_plan(
	ec2, client, volume, pending, fake_time
):
	fake_time.after(70, lambda: set_state(volume, "completed"))
	seen: list[SnapshotStatus] = []
	evidence = take(spec_for(ec2, volume), fake_time, seen, attempted_before=False)
	(snapshot,) = snapshots_of(client, volume)
	assert evidence == {
		"provider": "aws",
		"volume": volume,
		"snapshot": snapshot["SnapshotId"],
		"state": "completed",
		"how": "started",
		"waited_seconds": 75.0,
		"message": "AWS says: completed",
	}
	assert [status.state for status in seen] == ["pending"] * 5 + ["completed"]
	assert seen[1].progress == 40
	tags = {tag["Key"]: tag["Value"] for tag in snapshot["Tags"]}
	assert tags["press-deploy-run"] == TAGS["run"] and tags["press-deploy-plan"].startswith(
		"Mise a jour d-ete-"
	)


def test_the_second_call_finds_the_snapshot_of_the_first(ec2, client, volume, fake_time):
	spec = spec_for(ec2, volume)
	first, second = take(spec, fake_time), take(spec, fake_time)
	assert first["how"] == "started" and second["how"] == "found from before"
	assert first["snapshot"] == second["snapshot"] and len(snapshots_of(client, volume)) == 1


def test_a_snapshot_that_is_listed_late_is_not_taken_twice(ec2, client, volume, fake_time):
	spec = spec_for(ec2, volume)
	first = take(spec, fake_time)
	late = ec2.break_with("POST DescribeSnapshots", 200, body=NOTHING)
	assert take(spec, fake_time)["snapshot"] == first["snapshot"]
	assert late.fired == 1 and len(snapshots_of(client, volume)) == 1


def test_an_answer_lost_after_the_start_leads_to_one_snapshot(ec2, client, volume, fake_time):
	lost = ec2.break_with("POST CreateSnapshot", takes_effect=True)
	evidence = take(spec_for(ec2, volume), fake_time, attempted_before=False)
	assert lost.fired == 1
	assert [one["SnapshotId"] for one in snapshots_of(client, volume)] == [evidence["snapshot"]]


def test_a_lost_answer_and_a_late_list_together_lead_to_one_snapshot(ec2, client, volume, fake_time):
	lost = ec2.break_with("POST CreateSnapshot", takes_effect=True)
	late = []
	fake_time.after(0.5, lambda: late.append(ec2.break_with("POST DescribeSnapshots", 200, body=NOTHING)))
	take(spec_for(ec2, volume), fake_time, attempted_before=False)
	assert lost.fired == 1 and late[0].fired == 1
	assert ec2.count("POST CreateSnapshot") == len(snapshots_of(client, volume)) == 1


def test_trouble_while_polling_is_unknown_and_passes(ec2, client, volume, pending, fake_time):
	faults = [
		ec2.break_with(
			"POST DescribeSnapshots", 503, body=error("RequestLimitExceeded"), headers={"Retry-After": "44"}
		),
		ec2.break_with("POST DescribeSnapshots", 400, body=error("InvalidSnapshot.NotFound")),
		ec2.break_with("POST DescribeSnapshots", 400, body=error("ExpiredToken")),
		ec2.break_with("POST DescribeSnapshots"),
		ec2.break_with("POST DescribeSnapshots", 200, body=b"<html>no XML of EC2</html>"),
	]
	spec, seen = spec_for(ec2, volume), []
	provider = open_provider(spec)
	identity = provider.start(volume, TAGS)
	provider.find_existing = lambda run: SnapshotStatus(identity, "pending")
	fake_time.after(60, lambda: set_state(volume, "completed"))
	evidence = take_snapshot(provider, spec, TAGS, seen.append, **fake_time.ports)
	assert [fault.fired for fault in faults] == [1, 1, 1, 1, 1]
	assert evidence["state"] == "completed" and [one.state for one in seen].count("unknown") >= 5
	# 44 s as AWS asked, in slices of at most 15 s; the trouble after it begins at 2 s again and doubles.
	assert fake_time.slept[:6] == [15, 15, 15, 14, 2, 4]


def test_failed_is_what_aws_calls_an_error(ec2, volume, pending, fake_time):
	fake_time.after(20, lambda: set_state(volume, "error"))
	with pytest.raises(StepFailed, match=f"(?s){volume}: AWS says that snapshot snap-.* failed"):
		take(spec_for(ec2, volume), fake_time)
	assert set_state(volume, "error") == 1


def test_a_snapshot_that_never_ends_fails_at_the_deadline_with_its_id(
	ec2, client, volume, pending, fake_time
):
	with pytest.raises(StepFailed) as failure:
		take(spec_for(ec2, volume, timeout_seconds=600), fake_time)
	(snapshot,) = snapshots_of(client, volume)
	assert snapshot["SnapshotId"] in failure.value.why and "40 %" in failure.value.why
	assert "goes on at AWS" in failure.value.why and fake_time.now == 600


@pytest.mark.parametrize(
	("code", "status", "remedy"),
	[
		("UnauthorizedOperation", 403, "allow ec2:CreateSnapshot"),
		("AuthFailure", 401, "expired"),
		("InvalidVolume.NotFound", 400, "this region and account"),
	],
)
def test_a_refusal_ends_it_at_once(ec2, client, volume, fake_time, code, status, remedy):
	refusal = ec2.break_with("POST CreateSnapshot", status, body=error(code), times=None)
	with pytest.raises(StepFailed) as failure:
		take(spec_for(ec2, volume), fake_time, attempted_before=False)
	assert refusal.fired == 1 and code in failure.value.why and remedy in failure.value.remedy
	assert snapshots_of(client, volume) == [] and fake_time.slept == []


@pytest.mark.parametrize("code", ["SnapshotCreationPerVolumeRateExceeded", "ConcurrentSnapshotLimitExceeded"])
def test_too_many_snapshots_are_waited_for(ec2, client, volume, fake_time, code):
	limit = ec2.break_with("POST CreateSnapshot", 400, body=error(code), times=2)
	assert take(spec_for(ec2, volume), fake_time)["state"] == "completed"
	assert limit.fired == 2 and len(snapshots_of(client, volume)) == 1 and fake_time.now >= 6


def test_no_answer_at_all_ends_at_the_deadline(ec2, volume, fake_time):
	away = ec2.break_with("POST", times=None)
	with pytest.raises(StepFailed, match="no usable answer within 300 s"):
		take(spec_for(ec2, volume, timeout_seconds=300), fake_time)
	assert away.fired > 3


# --- where the volume, the region and the credentials come from ------------------------------------


def start_instance(client) -> tuple[str, str]:
	image = client.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
	instance = client.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
	machine = client.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
	(root,) = [
		mapping["Ebs"]["VolumeId"]
		for mapping in machine["BlockDeviceMappings"]
		if mapping["DeviceName"] == machine["RootDeviceName"]
	]
	return instance, root


def test_the_root_volume_of_this_instance_is_found(ec2, client, aws_metadata: AwsMetadata):
	instance, root = start_instance(client)
	aws_metadata.values["instance-id"] = instance
	spec = spec_for(ec2, None, region=None, metadata_url=aws_metadata.url)
	provider = open_provider(spec)
	checks = provider.check()
	assert provider.find_volume() == root
	assert [check.outcome for check in checks] == [OK]
	assert root in checks[0].found and "allowed" in checks[0].found
	assert aws_metadata.count("PUT /latest/api/token") == aws_metadata.count("GET") == 2


def test_of_several_volumes_the_root_is_taken_and_preflight_says_so(ec2, client, volume, aws_metadata):
	instance, root = start_instance(client)
	client.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
	aws_metadata.values["instance-id"] = instance
	provider = open_provider(spec_for(ec2, None, metadata_url=aws_metadata.url))
	checks = provider.check()
	assert provider.find_volume() == root and [check.outcome for check in checks] == [OK, WARNING]
	assert "2 volumes" in checks[1].found


def test_an_instance_role_is_enough(ec2, client, moto_url, monkeypatch, fake_time):
	instance, root = start_instance(client)
	monkeypatch.setitem(INSTANCE_METADATA, "instance-id", instance)
	monkeypatch.delenv("AWS_ACCESS_KEY_ID")
	monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
	evidence = take(spec_for(ec2, None, metadata_url=moto_url), fake_time)
	assert evidence["volume"] == root and evidence["state"] == "completed"


def test_settings_may_hold_the_credentials(ec2, volume, monkeypatch):
	monkeypatch.delenv("AWS_ACCESS_KEY_ID")
	given = {"access_key_id": "AKIAOTHER", "secret_access_key": "other"}
	provider = open_provider(spec_for(ec2, volume, credentials="settings"), given)
	assert [check.outcome for check in provider.check()] == [OK]


@pytest.mark.parametrize(("when_failed", "outcome"), [("block", FAILED), ("warn", WARNING)])
def test_preflight_says_that_the_volume_is_not_there(ec2, when_failed, outcome):
	(check,) = open_provider(spec_for(ec2, "vol-00000000000000000", when_failed=when_failed)).check()
	assert check.outcome == outcome and "InvalidVolume.NotFound" in check.found


def test_preflight_says_that_a_snapshot_is_not_allowed(ec2, volume):
	denied = ec2.break_with("POST CreateSnapshot", 403, body=error("UnauthorizedOperation"))
	(check,) = open_provider(spec_for(ec2, volume)).check()
	assert denied.fired == 1 and check.outcome == FAILED and "ec2:CreateSnapshot" in check.remedy


def test_preflight_says_that_there_are_no_credentials(ec2, volume, monkeypatch):
	monkeypatch.delenv("AWS_ACCESS_KEY_ID")
	monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
	(check,) = open_provider(spec_for(ec2, volume)).check()
	assert check.outcome == FAILED and "no credentials" in check.found and ec2.questions == []


def test_preflight_says_that_this_is_no_instance(ec2, aws_metadata):
	(check,) = open_provider(spec_for(ec2, None, metadata_url=aws_metadata.url)).check()
	assert check.outcome == FAILED and "instance metadata" in check.found and "name volume" in check.remedy


def test_a_profile_that_is_not_there_is_named(ec2, volume):
	(check,) = open_provider(spec_for(ec2, volume, profile="backup")).check()
	assert check.outcome == FAILED and "profile" in check.found
