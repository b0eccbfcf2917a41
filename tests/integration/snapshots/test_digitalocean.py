"""Snapshots of volumes and droplets at DigitalOcean: names, actions, rate limits and faults."""

from __future__ import annotations

import time

import pytest

from press_deploy.engine.ground.checks import FAILED, OK
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.plan.snapshots import Snapshot
from press_deploy.engine.snapshots import open_provider
from press_deploy.engine.snapshots.base import SnapshotStatus
from press_deploy.engine.snapshots.taking import take_snapshot
from tests.support.cloud_providers import FakeTime

from .digital_ocean import DROPLET, TOKEN, VOLUME, DigitalOceanCloud

TAGS = {"run": "20260101-000000-release-ab12", "plan": "Mise à jour d'été"}
MAKE = r"POST /v2/(volumes/[^/]+/snapshots|droplets/\d+/actions)"
KINDS = pytest.mark.parametrize("resource", ["volume", "droplet"])


def spec_for(cloud: DigitalOceanCloud, resource: str = "volume", **more) -> Snapshot:
	volume = str(DROPLET) if resource == "droplet" else VOLUME
	given = {"volume": volume, "resource": resource, **more}
	return Snapshot(provider="digitalocean", endpoint_url=cloud.url, metadata_url=cloud.url, **given)


def take(spec: Snapshot, fake_time: FakeTime, on_progress=None, **more) -> dict:
	return take_snapshot(open_provider(spec), spec, TAGS, on_progress, **fake_time.ports, **more)


@KINDS
def test_it_is_found_from_the_metadata_and_polled_to_the_end(digital_ocean, fake_time, resource):
	seen: list[SnapshotStatus] = []
	evidence = take(spec_for(digital_ocean, resource, volume=None), fake_time, seen.append)
	(snapshot,) = digital_ocean.snapshots
	assert evidence["snapshot"] == str(snapshot["id"]) and evidence["state"] == "completed"
	assert snapshot["name"].startswith(f"press-deploy-{TAGS['run']}-")
	assert len(seen) == {"volume": 2, "droplet": 4}[resource]


def test_a_volumes_snapshot_carries_run_and_plan(digital_ocean, fake_time):
	take(spec_for(digital_ocean), fake_time)
	run, plan = digital_ocean.snapshots[0]["tags"]
	assert run == f"press-deploy-run:{TAGS['run']}" and plan.startswith(
		"press-deploy-plan:Mise-a-jour-d-ete-"
	)


@KINDS
def test_the_second_call_finds_the_snapshot_of_the_first(digital_ocean, fake_time, resource):
	# Far behind in the list, which comes in pages.
	digital_ocean.page_size_limit = 2
	spec = spec_for(digital_ocean, resource)
	for number in range(5):
		digital_ocean.add_snapshot(f"other-{number}", spec.volume)
	first, second = take(spec, fake_time), take(spec, fake_time)
	assert second["how"] == "found from before" and first["snapshot"] == second["snapshot"]
	assert digital_ocean.count(MAKE) == 1


@KINDS
def test_a_lost_answer_leads_to_one_snapshot(digital_ocean, fake_time, resource):
	lost = digital_ocean.break_with(MAKE, takes_effect=True)
	if resource == "droplet":
		fake_time.after(60, digital_ocean.finish_action)
	evidence = take(spec_for(digital_ocean, resource), fake_time)
	assert lost.fired == 1 and digital_ocean.count(MAKE) == 1
	assert [str(one["id"]) for one in digital_ocean.snapshots] == [evidence["snapshot"]]


def test_after_a_snapshot_of_somebody_else_this_runs_own_is_made(digital_ocean, fake_time):
	digital_ocean.add_action("somebody-elses")
	digital_ocean.action_story = ["completed"]
	fake_time.after(100, digital_ocean.finish_action)
	evidence = take(spec_for(digital_ocean, "droplet"), fake_time)
	other, own = digital_ocean.snapshots
	assert other["name"] == "somebody-elses" and str(own["id"]) == evidence["snapshot"]
	assert digital_ocean.count(MAKE) == 1


def test_a_droplet_that_is_busy_with_something_else_is_waited_for(digital_ocean, fake_time):
	body = b'{"id": "unprocessable_entity", "message": "Droplet already has a pending event."}'
	busy = digital_ocean.break_with(MAKE, 422, body=body, times=3)
	assert take(spec_for(digital_ocean, "droplet"), fake_time)["state"] == "completed"
	assert busy.fired == 3 and len(digital_ocean.snapshots) == 1


def test_a_droplets_image_has_to_be_available(digital_ocean, fake_time):
	digital_ocean.image_story = ["NEW", "pending", "available"]
	seen: list[SnapshotStatus] = []
	take(spec_for(digital_ocean, "droplet"), fake_time, seen.append)
	assert [one.message.rpartition(" ")[2] for one in seen[-3:]] == ["NEW", "pending", "available"]


def test_trouble_while_polling_is_unknown_and_passes(digital_ocean, fake_time):
	read = "GET /v2/actions/"
	faults = [
		digital_ocean.break_with(read, 429, headers={"Retry-After": "31"}),
		digital_ocean.break_with(read, 404),
		digital_ocean.break_with(read, 401, times=2),
		digital_ocean.break_with(read, 500),
		digital_ocean.break_with(read),
		digital_ocean.break_with(read, 200, body=b'{"action": {"status": 7}}'),
	]
	seen: list[SnapshotStatus] = []
	evidence = take(spec_for(digital_ocean, "droplet"), fake_time, seen.append, attempted_before=False)
	assert [fault.fired for fault in faults] == [1, 1, 2, 1, 1, 1] and evidence["state"] == "completed"
	assert fake_time.slept[:8] == [15, 15, 15, 1, 2, 4, 8, 15]


def test_the_rate_limit_is_waited_for_until_its_reset(digital_ocean, fake_time):
	reset = {
		"ratelimit-limit": "5000",
		"ratelimit-remaining": "0",
		"ratelimit-reset": str(int(time.time()) + 900),
	}
	limit = digital_ocean.break_with(MAKE, 429, headers=reset)
	take(spec_for(digital_ocean), fake_time)
	assert limit.fired == 1 and 600 < fake_time.now < 960


def test_the_last_request_that_is_left_slows_the_polling(digital_ocean, fake_time):
	digital_ocean.remaining, digital_ocean.reset_in = 0, 600
	digital_ocean.action_story = ["in-progress", "completed"]
	take(spec_for(digital_ocean, "droplet"), fake_time, attempted_before=False)
	# 15 s before the first answer, then until the reset.
	assert 15 + 300 < fake_time.now < 15 + 620


def test_an_action_that_errored_is_a_failed_snapshot(digital_ocean, fake_time):
	digital_ocean.action_story = ["in-progress", "errored"]
	with pytest.raises(StepFailed, match=f"{DROPLET}: DigitalOcean says that snapshot action-.* failed"):
		take(spec_for(digital_ocean, "droplet"), fake_time)


def test_an_action_that_never_ends_fails_at_the_deadline(digital_ocean, fake_time):
	digital_ocean.action_story = ["in-progress"]
	with pytest.raises(StepFailed, match="action-36805096 was not completed within 90 s"):
		take(spec_for(digital_ocean, "droplet", timeout_seconds=90), fake_time)
	assert fake_time.now == 90


@KINDS
def test_a_token_that_is_not_valid_is_refused_and_does_not_show(digital_ocean, fake_time, resource):
	echo = b'{"id": "unauthorized", "message": "Unable to authenticate you with Bearer dop_v1_secret"}'
	refusal = digital_ocean.break_with("GET", 401, body=echo, times=None)
	spec = spec_for(digital_ocean, resource)
	with pytest.raises(StepFailed, match="Unable to authenticate you") as failure:
		take(spec, fake_time)
	(check,) = open_provider(spec).check()
	assert refusal.fired == 4 and fake_time.slept == []
	assert check.outcome == FAILED and "expired" in check.remedy
	assert TOKEN not in str(failure.value) + check.found + repr(failure.value.__cause__)


def test_a_token_that_was_renewed_is_used_at_once(digital_ocean, fake_time, monkeypatch):
	digital_ocean.action_story = ["in-progress"] * 3 + ["completed"]

	def renew() -> None:
		digital_ocean.token = "dop_v1_renewed"
		fake_time.after(100, lambda: monkeypatch.setenv("DIGITALOCEAN_TOKEN", "dop_v1_renewed"))

	fake_time.after(20, renew)
	seen: list[SnapshotStatus] = []
	assert take(spec_for(digital_ocean, "droplet"), fake_time, seen.append)["state"] == "completed"
	assert any(one.state == "unknown" and "401" in one.message for one in seen)


@KINDS
def test_what_is_not_there_is_refused_and_preflight_says_so(digital_ocean, fake_time, resource):
	missing = "1" if resource == "droplet" else "00000000-0000-0000-0000-000000000000"
	spec = spec_for(digital_ocean, resource, volume=missing)
	with pytest.raises(StepFailed, match="could not be found"):
		take(spec, fake_time)
	assert [check.outcome for check in open_provider(spec).check()] == [FAILED]


@KINDS
def test_preflight_describes_what_will_be_snapshot(digital_ocean, resource):
	(check,) = open_provider(spec_for(digital_ocean, resource, volume=None)).check()
	assert check.outcome == OK and "erp" in check.found


@pytest.mark.parametrize(("volumes", "remedy"), [([], "droplet"), ([VOLUME, VOLUME[::-1]], "name volume")])
def test_a_droplet_without_one_single_volume_needs_a_word_in_the_plan(digital_ocean, volumes, remedy):
	digital_ocean.volume_ids = volumes
	(check,) = open_provider(spec_for(digital_ocean, volume=None)).check()
	assert check.outcome == FAILED and remedy in check.remedy


def test_without_a_token_nothing_is_asked(digital_ocean, monkeypatch):
	monkeypatch.delenv("DIGITALOCEAN_TOKEN")
	(check,) = open_provider(spec_for(digital_ocean)).check()
	assert check.outcome == FAILED and "DIGITALOCEAN_ACCESS_TOKEN" in check.found
	assert digital_ocean.questions == []


def test_the_settings_may_hold_the_token(digital_ocean, monkeypatch):
	monkeypatch.delenv("DIGITALOCEAN_TOKEN")
	spec = spec_for(digital_ocean, credentials="settings")
	assert [check.outcome for check in open_provider(spec, {"token": TOKEN}).check()] == [OK]


def test_somebody_may_end_the_waiting_during_a_long_pause(digital_ocean, fake_time):
	class Asked(Exception):
		pass

	def stop(status: SnapshotStatus) -> None:
		if fake_time.now >= 60:
			raise Asked

	limit = digital_ocean.break_with(MAKE, 429, headers={"Retry-After": "3600"})
	with pytest.raises(Asked):
		take(spec_for(digital_ocean, timeout_seconds=7200), fake_time, stop)
	assert limit.fired == 1 and fake_time.now < 90
