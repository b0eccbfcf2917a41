import json
import os
import stat

import pytest

from press_deploy.helper import configuration, installed_files, registration, running
from press_deploy.helper import install as install_module
from press_deploy.helper.client import find_bench_name
from press_deploy.helper.discovery import Survey
from press_deploy.helper.errors import ConfigurationRefused, Conflict, Denied, NotFound, OperationFailed
from press_deploy.helper.install import install, uninstall
from press_deploy.helper.places import Places
from press_deploy.helper.registration import Wishes
from press_deploy.helper.service_files import SYSTEMD_UNIT

from .support import RUN, make_bench, make_entry, write_json


@pytest.fixture
def prefix(directory):
	return directory / "system"


def snapshot(prefix):
	return {
		str(path.relative_to(prefix)): (path.stat().st_ino, stat.S_IMODE(path.stat().st_mode))
		for path in prefix.rglob("*")
	}


def install_one(bench, prefix, **options):
	return install(str(bench), prefix=str(prefix), entry=make_entry(bench), **options)


def test_installing_is_complete_and_changes_nothing_twice(bench, prefix):
	old_umask = os.umask(0o077)
	try:
		lines = install_one(bench, prefix)
	finally:
		os.umask(old_umask)
	assert lines[0] == f"Installed: shop, {bench}"
	assert any(line.startswith("command=/usr/bin/python3 -I ") for line in lines)
	first = snapshot(prefix)
	assert all(
		mode == (0o755 if (prefix / path).is_dir() else 0o644)
		for path, (_, mode) in first.items()
		if path not in ("etc/press_deploy/helper.json", "usr/sbin/press-deploy-helper")
	)
	assert first["usr/sbin/press-deploy-helper"][1] == 0o755
	assert first["etc/press_deploy/helper.json"][1] == 0o600
	assert install_one(bench, prefix)[0].startswith("Already installed, nothing changed")
	assert snapshot(prefix) == first
	loaded = configuration.load(str(prefix / "etc/press_deploy/helper.json"))
	assert loaded.benches["shop"].path == str(bench)
	assert loaded.socket == str(prefix / "run/press_deploy/helper.sock")


def test_the_copy_is_brought_up_to_date(bench, prefix):
	install_one(bench, prefix)
	package = prefix / "opt/press_deploy_helper/press_deploy/helper"
	original = (package / "policy.py").read_bytes()
	(package / "policy.py").write_text("POLICY = None")
	(package / "stale.py").touch()
	(package / "server.py").chmod(0o666)
	assert install_one(bench, prefix)[0].startswith("Installed")
	assert (package / "policy.py").read_bytes() == original
	assert stat.S_IMODE((package / "server.py").stat().st_mode) == 0o644
	assert not (package / "stale.py").exists()


def test_two_benches_share_one_helper(bench, directory, prefix):
	other = make_bench(directory / "other")
	install_one(bench, prefix)
	install_one(other, prefix)
	path = prefix / "etc/press_deploy/helper.json"
	assert set(configuration.load(str(path)).benches) == {"shop", "other"}
	uninstall(str(bench), prefix=str(prefix))
	assert set(configuration.load(str(path)).benches) == {"other"}
	assert (prefix / "opt/press_deploy_helper/__main__.py").exists()
	uninstall(str(other), prefix=str(prefix))
	assert not (prefix / "opt/press_deploy_helper").exists()
	assert not (prefix / "etc/press_deploy").exists()
	assert not (prefix / "var/lib/press_deploy").exists()


def test_the_audit_log_is_kept(bench, prefix):
	install_one(bench, prefix)
	(prefix / "var/log/press_deploy/helper.log").write_text("history\n")
	assert "is kept" in uninstall(str(bench), prefix=str(prefix))[0]
	assert (prefix / "var/log/press_deploy/helper.log").read_text() == "history\n"


def test_removing_what_is_not_there_is_no_error(bench, prefix):
	assert "not installed" in uninstall(str(bench), prefix=str(prefix))[0]
	assert not prefix.exists()


def test_a_bench_in_maintenance_keeps_its_helper(bench, prefix):
	install_one(bench, prefix)
	state = prefix / "var/lib/press_deploy/shop"
	state.mkdir()
	write_json(state / "leases.json", {RUN: {}})
	with pytest.raises(Conflict, match=f"resume {RUN}"):
		uninstall(str(bench), prefix=str(prefix))
	assert (prefix / "etc/press_deploy/helper.json").exists()
	uninstall(str(bench), prefix=str(prefix), force=True)
	assert not state.exists()


def test_a_name_belongs_to_one_path(bench, directory, prefix):
	install_one(bench, prefix)
	namesake = make_bench(directory / "elsewhere" / "shop")
	with pytest.raises(Conflict, match=r"give another name for .*: helper install --name NAME"):
		install_one(namesake, prefix)
	(namesake / "config" / "press_deploy.json").write_text('{"web_application": "x:y"}')
	install_one(namesake, prefix, name="shop-2")
	assert set(configuration.load(str(prefix / "etc/press_deploy/helper.json")).benches) == {"shop", "shop-2"}
	# So that whoever works in that bench asks for it by this name.
	assert (find_bench_name(str(bench)), find_bench_name(str(namesake))) == ("shop", "shop-2")
	assert json.loads((namesake / "config" / "press_deploy.json").read_text())["web_application"] == "x:y"


def test_a_name_once_given_is_kept(bench, prefix):
	install_one(bench, prefix, name="main")
	assert install_one(bench, prefix)[0].startswith("Already installed, nothing changed: main")
	with pytest.raises(Conflict, match="installed as main"):
		install_one(bench, prefix, name="other")
	assert find_bench_name(str(bench)) == "main"
	uninstall(str(bench), prefix=str(prefix))
	assert find_bench_name(str(bench)) == "shop"


def test_what_cannot_be_served_is_not_installed(bench, prefix):
	with pytest.raises(ConfigurationRefused):
		install(str(bench), prefix=str(prefix), entry={**make_entry(bench), "runner": []})
	with pytest.raises(NotFound):
		install(str(bench), prefix=str(prefix), wishes=Wishes(supervisor_socket=str(bench / "none.sock")))
	assert not prefix.exists()


def test_installing_again_keeps_the_login(bench, prefix, monkeypatch):
	services = {"kind": "supervisor", "socket": "/run/s.sock", "username": "u", "password": "p"}
	services |= {"web": ["shop-web:shop-frappe-web"], "realtime": [], "workers": []}
	entry = make_entry(bench, services=services)
	install(str(bench), prefix=str(prefix), entry=entry)
	asked = []

	def look(path, socket, login, **options):
		asked.append((socket, login))
		return Survey(make_entry(bench, services=services))

	monkeypatch.setattr(registration, "survey", look)
	lines = install(str(bench), prefix=str(prefix))
	assert asked == [("/run/s.sock", {"username": "u", "password": "p"})]
	assert "'p'" not in "".join(lines)


def test_a_link_in_the_source_is_not_published(bench, prefix, directory, monkeypatch):
	(directory / "secret").write_text("root only")
	(directory / "source").mkdir()
	(directory / "source" / "installed_files.py").symlink_to(directory / "secret")
	monkeypatch.setattr(installed_files, "__file__", str(directory / "source" / "x.py"))
	with pytest.raises(OperationFailed, match="no links"):
		install_one(bench, prefix)
	assert not list(prefix.rglob("*.py"))


def test_the_system_is_roots(bench, monkeypatch):
	monkeypatch.setattr(os, "geteuid", lambda: 12345)
	for act in (install, uninstall):
		with pytest.raises(Denied, match="sudo"):
			act(str(bench))


def test_a_unit_is_registered_where_there_is_systemd(bench, prefix, monkeypatch):
	calls = []
	monkeypatch.setattr(Places, "has_systemd", property(lambda self: True))
	monkeypatch.setattr(install_module, "_run_systemctl", lambda *arguments: calls.append(arguments))
	monkeypatch.setattr(running, "ANSWER_SECONDS", 0.1)
	unit = "press-deploy-helper.service"
	install_one(bench, prefix)
	assert calls == [("daemon-reload",), ("enable", unit), ("restart", unit)]
	text = (prefix / "etc/systemd/system" / unit).read_text()
	assert f"ExecStart=/usr/bin/python3 -I -S -B {prefix}/opt/press_deploy_helper --config " in text
	calls.clear()
	install_one(bench, prefix)
	assert calls[-1] == ("start", unit)
	calls.clear()
	uninstall(str(bench), prefix=str(prefix))
	assert calls == [("disable", "--now", unit), ("daemon-reload",)]
	assert not (prefix / "etc/systemd/system" / unit).exists()


@pytest.mark.parametrize(
	"line", ["KillMode=process", "Restart=always", "NoNewPrivileges=yes", "OOMPolicy=continue"]
)
def test_the_unit_keeps_runners_alive_and_rights_small(line):
	assert line in SYSTEMD_UNIT.splitlines()


def test_a_written_configuration_reads_back(bench, prefix):
	install_one(bench, prefix)
	text = (prefix / "etc/press_deploy/helper.json").read_text()
	assert json.loads(text)["benches"]["shop"] == make_entry(bench)
