"""A port for a server stays free until the server comes: the kernel gives it to nobody else by itself."""

import socket

import pytest

from press_deploy.demo import ports


def test_the_port_is_free_and_not_one_that_is_given_away():
	low, high = ports._read_range()
	for _time in range(200):
		with socket.create_server((ports.LOOPBACK, port := ports.choose_port())):
			assert not low <= port <= high


def test_the_former_port_is_kept_unless_it_is_taken():
	port = ports.choose_port()
	assert ports.choose_port(port) == port
	with socket.create_server((ports.LOOPBACK, port)):
		assert ports.choose_port(port) != port


@pytest.mark.parametrize(
	("given", "reserved"), [("1024 60999", (61_000, 65_535)), ("1024 65535", (1024, 65_535))]
)
def test_a_machine_that_gives_away_more_ports_still_has_some(given, reserved, tmp_path, monkeypatch):
	monkeypatch.setattr(ports, "RANGE", tmp_path / "range")
	(tmp_path / "range").write_text(f"{given}\n")
	assert reserved[0] <= ports.choose_port() <= reserved[1]
