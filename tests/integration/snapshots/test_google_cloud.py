"""Snapshots of disks at Google Cloud: tokens, names, operations and faults."""

from __future__ import annotations

import json

import pytest

from press_deploy.engine.ground.checks import FAILED, OK, WARNING
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.plan.snapshots import Snapshot
from press_deploy.engine.snapshots import open_provider
from press_deploy.engine.snapshots.base import SnapshotStatus
from press_deploy.engine.snapshots.taking import take_snapshot
from tests.support.cloud_providers import FakeTime

from .google_cloud import DISK, PROJECT, ZONE, GoogleCloud

TAGS = {"run": "20260101-000000-release-ab12", "plan": "Mise à jour d'été"}
CREATE = "POST .*/createSnapshot"
READ = "GET .*/global/snapshots/"


def spec_for(google: GoogleCloud, **more) -> Snapshot:
	given = {"volume": DISK, "project": PROJECT, "zone": ZONE, **more}
	return Snapshot(provider="gcp", endpoint_url=google.url, metadata_url=google.url, **given)


def take(spec: Snapshot, fake_time: FakeTime, on_progress=None, **more) -> dict:
	return take_snapshot(open_provider(spec), spec, TAGS, on_progress, **fake_time.ports, **more)


def test_all_is_found_from_the_metadata_and_polled_until_ready(google, fake_time):
	seen: list[SnapshotStatus] = []
	evidence = take(spec_for(google, volume=None, project=None, zone=None), fake_time, seen.append)
	((name, snapshot),) = google.snapshots.items()
	assert evidence["snapshot"] == name and evidence["volume"] == DISK and evidence["state"] == "completed"
	assert [one.message.rpartition(" ")[2] for one in seen] == ["for", "CREATING", "UPLOADING", "READY"]
	assert snapshot["labels"]["press-deploy-run"] == TAGS["run"]
	assert snapshot["labels"]["press-deploy-plan"].startswith("mise-a-jour-d-ete-")
	assert len(google.tokens) == 1


def test_a_service_account_signs_for_its_token(google, fake_time, monkeypatch, tmp_path):
	key = tmp_path / "key.json"
	key.write_text(google.key())
	monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
	assert take(spec_for(google), fake_time)["state"] == "completed"
	assert google.count("POST /token") == 1 and google.count("computeMetadata") == 0


def test_the_settings_may_hold_the_key(google, fake_time):
	spec = spec_for(google, credentials="settings")
	provider = open_provider(spec, {"service_account_key": google.key()})
	assert take_snapshot(provider, spec, TAGS, **fake_time.ports)["state"] == "completed"
	assert google.count("POST /token") == 1


def test_a_token_that_ends_early_is_asked_for_anew(google, fake_time):
	google.story = ["UPLOADING"] * 3 + ["READY"]
	fake_time.after(20, google.expire_tokens)
	assert take(spec_for(google), fake_time)["state"] == "completed"
	assert google.count("default/token") == 2


def test_the_second_call_finds_the_snapshot_of_the_first(google, fake_time):
	first, second = take(spec_for(google), fake_time), take(spec_for(google), fake_time)
	assert first["snapshot"] == second["snapshot"] and second["how"] == "found from before"
	assert google.count(CREATE) == 1


def test_another_disk_and_another_run_have_snapshots_of_their_own(google, fake_time):
	first = open_provider(spec_for(google)).start(DISK, TAGS)
	second = open_provider(spec_for(google)).start(DISK, {**TAGS, "run": "other"})
	assert len({first, second, *google.snapshots}) == 2
	assert open_provider(spec_for(google, volume="data")).find_existing(TAGS["run"]) is None


def test_a_lost_answer_leads_to_one_snapshot(google, fake_time):
	lost = google.break_with(CREATE, takes_effect=True)
	# Not listed when it is looked for again: then the same request is made again, and known as such.
	google.unlisted_for = 1
	evidence = take(spec_for(google), fake_time)
	assert lost.fired == 1 and google.count(CREATE) == 2
	assert list(google.snapshots) == [evidence["snapshot"]]


def test_a_name_that_is_taken_meanwhile_is_the_runs_own(google, fake_time):
	spec = spec_for(google)
	first, second = open_provider(spec), open_provider(spec)
	assert first.start(DISK, TAGS) == second.start(DISK, TAGS)
	assert google.count(CREATE) == 2 and len(google.snapshots) == 1


def test_trouble_while_polling_is_unknown_and_passes(google, fake_time):
	faults = [
		google.break_with(READ, 404, times=1),
		google.break_with(READ, 429, headers={"Retry-After": "40"}),
		google.break_with(READ, 500),
		google.break_with(READ, 200, body=b"<html>"),
		google.break_with(READ, 403, body=json.dumps(google.error_body(403, "no")).encode()),
		google.break_with(READ),
	]
	seen: list[SnapshotStatus] = []
	evidence = take(spec_for(google), fake_time, seen.append)
	assert [fault.fired for fault in faults] == [1] * 6 and evidence["state"] == "completed"
	# The first 404 was before the start; the pauses: the poll, 40 s as asked in slices, then doubling.
	assert fake_time.slept[:7] == [15, 15, 15, 10, 2, 4, 8]
	assert [one.state for one in seen].count("unknown") >= 5


def test_before_it_is_listed_the_operation_is_asked(google, fake_time):
	google.unlisted_for = 2
	seen: list[SnapshotStatus] = []
	assert take(spec_for(google), fake_time, seen.append)["state"] == "completed"
	assert google.count("GET .*/operations/") == 2 and "operation RUNNING" in seen[1].message


def test_an_operation_that_failed_is_a_failed_snapshot(google, fake_time):
	google.operation_error = {"code": "QUOTA_EXCEEDED", "message": "Quota 'SNAPSHOTS' exceeded."}
	with pytest.raises(StepFailed, match="QUOTA_EXCEEDED"):
		take(spec_for(google), fake_time)
	assert google.count("GET .*/operations/") == 1


def test_a_failed_snapshot_fails(google, fake_time):
	google.story = ["CREATING", "FAILED"]
	with pytest.raises(StepFailed, match=f"{DISK}: Google Cloud says that snapshot .* failed"):
		take(spec_for(google), fake_time)


@pytest.mark.parametrize("story", [["UPLOADING"], ["UPLOADING", "DELETING"], ["UPLOADING", "NEW_WORD"]])
def test_what_never_becomes_ready_fails_at_the_deadline(google, fake_time, story):
	google.story = story
	with pytest.raises(StepFailed, match=r"not completed within 120 s .*It goes on at Google Cloud"):
		take(spec_for(google, timeout_seconds=120), fake_time)
	assert fake_time.now == 120


def test_too_often_is_waited_for_also_when_it_comes_as_403(google, fake_time):
	body = google.error_body(403, "Rate Limit Exceeded")
	body["error"]["errors"][0]["reason"] = "rateLimitExceeded"
	limit = google.break_with(CREATE, 403, body=json.dumps(body).encode(), times=2)
	assert take(spec_for(google), fake_time)["state"] == "completed"
	assert limit.fired == 2 and len(google.snapshots) == 1


def test_a_refusal_ends_it_at_once(google, fake_time):
	denied = google.break_with(
		CREATE, 403, body=json.dumps(google.error_body(403, "Required permission")).encode()
	)
	with pytest.raises(StepFailed, match="Required permission") as failure:
		take(spec_for(google), fake_time)
	assert denied.fired == 1 and "right" in failure.value.remedy and fake_time.slept == []


def test_a_disk_that_is_not_there_is_refused_and_preflight_says_so(google, fake_time):
	spec = spec_for(google, volume="gone")
	with pytest.raises(StepFailed, match="was not found"):
		take(spec, fake_time)
	(check,) = open_provider(spec).check()
	assert check.outcome == FAILED and "was not found" in check.found


def test_preflight_proves_credentials_disk_and_permission(google):
	(check,) = open_provider(spec_for(google, volume=None)).check()
	assert check.outcome == OK and DISK in check.found and "allowed" in check.found
	google.may_snapshot = False
	(check,) = open_provider(spec_for(google, when_failed="warn")).check()
	assert check.outcome == WARNING and "compute.disks.createSnapshot" in check.found


def test_of_several_disks_the_one_it_boots_from_is_taken(google):
	google.attached.append({"type": "PERSISTENT", "boot": False, "source": f"zones/{ZONE}/disks/data"})
	provider = open_provider(spec_for(google, volume=None))
	assert [check.outcome for check in provider.check()] == [OK, WARNING]
	assert provider.find_volume() == DISK


def test_a_disk_whose_name_is_hostile_is_not_asked_about(google):
	google.attached[0]["source"] = "zones/x/disks/..%2f..%2fother"
	(check,) = open_provider(spec_for(google, volume=None)).check()
	assert check.outcome == FAILED and google.count("disks/") == 0


@pytest.mark.parametrize(
	("key", "why"),
	[
		("{}", "not the JSON key"),
		('{"type": "authorized_user", "refresh_token": "refresh-secret"}', "not the JSON key"),
		("private_key=broken-secret", "not an RSA key"),
		("token_uri=http://evil.example/token", "token_uri"),
	],
)
def test_an_unusable_key_is_refused_and_does_not_show(google, key, why):
	name, _, value = key.partition("=")
	text = key if not value else json.dumps({**json.loads(google.key()), name: value})
	provider = open_provider(spec_for(google, credentials="settings"), {"service_account_key": text})
	(check,) = provider.check()
	assert check.outcome == FAILED and why in check.found
	assert "secret" not in check.found and "PRIVATE KEY" not in check.found and google.questions == []
