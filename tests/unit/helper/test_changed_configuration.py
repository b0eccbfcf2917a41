"""A running helper serves what its configuration says by now, without being started again."""

import os
import signal
import subprocess
import sys

import pytest

from press_deploy.helper import configuration as configuration_module
from press_deploy.helper.client import HelperClient
from press_deploy.helper.configuration import ConfigurationFile, dump
from press_deploy.helper.errors import BadRequest, ConfigurationRefused, Denied
from press_deploy.helper.server import Server

from .support import (
	HANG_SECONDS,
	RUN,
	SITES,
	answers,
	make_bench,
	make_configuration,
	make_entry,
	read_audit,
	serving,
	wait_until,
	write_json,
)

NEW = "new.example.com"


@pytest.fixture
def data(directory, bench):
	return make_configuration(directory, make_entry(bench))


@pytest.fixture
def file(directory, data):
	for place in (data["state"], os.path.dirname(data["socket"])):
		os.makedirs(place)
	path = directory / "helper.json"
	path.write_bytes(dump(data))
	return path


@pytest.fixture
def client(file, data, monkeypatch):
	# Where the test runs is not root's; what is refused for that has a test of its own.
	monkeypatch.setattr(configuration_module.trust, "require_root_owned", lambda path: None)
	read = ConfigurationFile(str(file))
	with serving(Server(read.read(), file=read), data):
		yield HelperClient(data["socket"], "shop")


def replace(file, data):
	"""As the installation writes it: beside, then over the former one."""
	new = file.with_suffix(".new")
	new.write_bytes(dump(data))
	new.replace(file)


def add_site(bench, data):
	(bench / "sites" / NEW / "locks").mkdir(parents=True)
	write_json(bench / "sites" / NEW / "site_config.json", {})
	data["benches"]["shop"]["sites"].append(NEW)


def test_a_new_site_is_known_to_the_next_request(bench, file, data, client, directory):
	with pytest.raises(BadRequest, match="press-deploy-helper refresh"):
		client.maintenance_on(RUN, [NEW], 60)
	add_site(bench, data)
	replace(file, data)
	assert client.maintenance_on(RUN, [NEW], 60)["previous"] == {NEW: {"present": False}}
	assert client.status()["sites"] == [*SITES, NEW]
	(noted,) = [line for line in read_audit(directory) if line["event"] == "configuration"]
	assert noted["ok"] is True and noted["changed"] == ["shop"]


def test_a_second_bench_is_served_and_a_removed_one_is_not(directory, file, data, client):
	other = HelperClient(data["socket"], "other")
	with pytest.raises(Denied):
		other.status()
	data["benches"]["other"] = make_entry(make_bench(directory / "other"))
	replace(file, data)
	assert other.status()["sites"] == list(SITES)
	del data["benches"]["shop"]
	replace(file, data)
	with pytest.raises(Denied):
		client.status()
	assert other.status()


def test_leases_watched_and_running_runners_go_over(bench, file, data, client):
	try:
		pid = client.start_runner(RUN)["pid"]
		wait_until(lambda: (bench / "runner.json").exists(), "the runner runs")
		client.watch_runner("another")
		lease = client.maintenance_on(RUN, [SITES[0]], 600)["lease"]
		add_site(bench, data)
		replace(file, data)
		after = client.status()
		assert after["leases"] == [{**lease, "expired": False}] and after["watched"] == ["another"]
		assert client.start_runner(RUN)["pid"] == pid, "a second one was started beside it"
		(bench / "runner.json").unlink()
		os.kill(pid, signal.SIGKILL)
		wait_until(lambda: (bench / "runner.json").exists(), "the run is resumed")
	finally:
		client.unwatch_runner("another")
		(bench / "release").touch()


def test_a_wrong_file_changes_nothing_and_is_said_once(bench, file, data, client, directory, capfd):
	replace(file, {**data, "version": 7})
	assert client.status()["sites"] == list(SITES)
	assert client.status()
	(noted,) = [line for line in read_audit(directory) if line["event"] == "configuration"]
	assert noted["ok"] is False and "version is 7" in noted["error"]["message"]
	assert "still served as before" in capfd.readouterr().err
	add_site(bench, data)
	replace(file, data)
	assert client.status()["sites"] == [*SITES, NEW]


def test_a_file_that_others_could_have_written_changes_nothing(
	bench, file, data, client, directory, monkeypatch
):
	def refuse(path):
		raise ConfigurationRefused(f"{path} belongs to user id 1000")

	monkeypatch.setattr(configuration_module.os, "geteuid", lambda: 0)
	monkeypatch.setattr(configuration_module.trust, "require_root_owned", refuse)
	add_site(bench, data)
	replace(file, data)
	assert client.status()["sites"] == list(SITES)
	assert "belongs to user id 1000" in read_audit(directory)[0]["error"]["message"]


def test_a_file_that_is_gone_changes_nothing(file, client):
	file.unlink()
	assert client.status()["sites"] == list(SITES)


@pytest.mark.parametrize("field", ["socket", "state", "audit_log"])
def test_what_counts_from_the_start_on_only_is_refused(file, data, client, directory, field):
	replace(file, {**data, field: "/elsewhere"})
	assert client.status()["sites"] == list(SITES)
	assert f"another {field}" in read_audit(directory)[0]["error"]["message"]


def test_a_hangup_does_not_end_it(file, data, directory):
	command = [sys.executable, "-m", "press_deploy.helper", "--config", str(file)]
	process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
	try:
		wait_until(lambda: process.poll() is not None or answers(data["socket"]), "the helper listens")
		process.send_signal(signal.SIGHUP)
		assert HelperClient(data["socket"], "shop").status()
		process.send_signal(signal.SIGTERM)
		assert process.wait(HANG_SECONDS) == 0
	finally:
		process.kill()
		process.communicate()
