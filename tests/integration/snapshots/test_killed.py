"""A process that is killed between the start of a snapshot and its record; the next one finds the snapshot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from press_deploy.engine.plan.snapshots import Snapshot
from press_deploy.engine.snapshots import open_provider
from press_deploy.engine.snapshots.taking import take_snapshot

from .digital_ocean import DROPLET, VOLUME
from .google_cloud import DISK, PROJECT, ZONE

TAGS = {"run": "20260101-000000-release-ab12", "plan": "release"}
# Killed as soon as the provider has said that it heard: nobody wrote the id down.
DIES = f"""
import os, signal, sys
from press_deploy.engine.plan.snapshots import Snapshot
from press_deploy.engine.snapshots import open_provider
from press_deploy.engine.snapshots.taking import take_snapshot
spec = Snapshot.model_validate_json(sys.argv[1])
take_snapshot(open_provider(spec), spec, {TAGS!r}, lambda status: os.kill(os.getpid(), signal.SIGKILL),
	attempted_before=False)
"""


@pytest.mark.parametrize("resource", ["gcp", "volume", "droplet"])
def test_killed_between_start_and_record(google, digital_ocean, fake_time, resource):
	if resource == "gcp":
		cloud, given = google, {"provider": "gcp", "volume": DISK, "project": PROJECT, "zone": ZONE}
	else:
		volume = VOLUME if resource == "volume" else str(DROPLET)
		cloud, given = digital_ocean, {"provider": "digitalocean", "volume": volume, "resource": resource}
	spec = Snapshot(endpoint_url=cloud.url, metadata_url=cloud.url, **given)
	arguments = [sys.executable, "-c", DIES, spec.model_dump_json()]
	died = subprocess.run(arguments, env=dict(os.environ), timeout=60)
	assert died.returncode == -signal.SIGKILL and cloud.count("POST") == 1
	if resource == "droplet":
		assert digital_ocean.snapshots == []
		fake_time.after(40, digital_ocean.finish_action)
	evidence = take_snapshot(open_provider(spec), spec, TAGS, **fake_time.ports)
	assert evidence["how"] == "found from before" and evidence["state"] == "completed"
	assert cloud.count("POST") == 1 and len(cloud.snapshots) == 1
