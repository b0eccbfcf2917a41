import copy
import json
import os
import stat

import pytest

from press_deploy.helper import configuration, trust
from press_deploy.helper.errors import ConfigurationRefused

from .support import make_configuration, make_entry

SUPERVISOR = {
	"kind": "supervisor",
	"socket": "/run/supervisor.sock",
	"username": None,
	"password": "geheim",
	"web": ["shop-web:shop-frappe-web"],
	"realtime": [],
	"workers": ["shop-workers:shop-frappe-schedule"],
}
DELETE = object()


@pytest.fixture
def data(directory, bench):
	return make_configuration(directory, make_entry(bench, services=SUPERVISOR))


def change(data: dict, path: str, value: object) -> dict:
	changed = copy.deepcopy(data)
	*parents, last = path.split("/")
	place = changed
	for parent in parents:
		place = place[parent]
	if value is DELETE:
		del place[last]
	else:
		place[last] = value
	return changed


def test_a_file_is_read(directory, bench, data):
	path = directory / "helper.json"
	path.write_bytes(configuration.dump(data))
	shop = configuration.load(str(path)).benches["shop"]
	assert (shop.path, shop.uid) == (str(bench), os.geteuid())
	assert shop.services.in_role("web") == ("shop-web:shop-frappe-web",)
	assert shop.services.all_names == ("shop-web:shop-frappe-web", "shop-workers:shop-frappe-schedule")


def test_systemd_units_are_read(data):
	units = {
		"kind": "systemd",
		"web": ["shop-frappe-web.service"],
		"realtime": [],
		"workers": ["w@1.service"],
	}
	assert configuration.parse(change(data, "benches/shop/services", units))


def test_the_password_is_in_no_representation(data):
	assert "geheim" not in repr(configuration.parse(data))
	with pytest.raises(ConfigurationRefused) as refusal:
		configuration.parse(change(data, "benches/shop/services/password", ["geheim"]))
	assert "geheim" not in str(refusal.value)


@pytest.mark.parametrize(
	("path", "value"),
	[
		("version", 2),
		("version", True),
		("version", DELETE),
		("socket", "run/helper.sock"),
		("socket", "/run/../etc/x"),
		("socket", None),
		("state", "/var\n"),
		("audit_log", 7),
		("unknown", 1),
		("benches", []),
		("benches/..", {}),
		("benches/a b", {}),
		("benches/shop", None),
		("benches/shop/path", "relative"),
		("benches/shop/path", "/a/../b"),
		("benches/shop/user", "no such user"),
		("benches/shop/user", 0),
		("benches/shop/user", "a\0b"),
		("benches/shop/sites", "a.example.com"),
		("benches/shop/sites", ["../x"]),
		("benches/shop/sites", ["a/b"]),
		("benches/shop/sites", [".hidden"]),
		("benches/shop/sites", [1]),
		("benches/shop/runner", []),
		("benches/shop/runner", ["python"]),
		("benches/shop/runner", "/bin/sh"),
		("benches/shop/more", 1),
		("benches/shop/services", DELETE),
		("benches/shop/services/kind", "upstart"),
		("benches/shop/services/kind", []),
		("benches/shop/services/kind", "systemd"),
		("benches/shop/services/socket", None),
		("benches/shop/services/web", None),
		("benches/shop/services/web", ["all"] * 2),
		("benches/shop/services/web", ["shop-web:*"]),
		("benches/shop/services/web", ["--all"]),
		("benches/shop/services/web", ["a:b:c"]),
		("benches/shop/services/web", ["shop-redis:shop-redis-cache"]),
		("benches/shop/services/workers", ["shop-web:shop-frappe-web"]),
		("benches/shop/services/username", 1),
	],
)
def test_wrong_values_are_refused_with_place_and_remedy(data, path, value):
	with pytest.raises(ConfigurationRefused, match="In the helper's configuration, ") as refusal:
		configuration.parse(change(data, path, value))
	assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
	"content", [b"", b"[]", b"{", b'{"a": 1, "a": 2}', b"\xff", b" " * (1024 * 1024 + 1)]
)
def test_unreadable_files_are_refused(directory, content):
	path = directory / "helper.json"
	path.write_bytes(content)
	with pytest.raises(ConfigurationRefused, match=str(path)):
		configuration.load(str(path))


def test_a_missing_file_is_refused(directory):
	with pytest.raises(ConfigurationRefused, match="No such file"):
		configuration.read(str(directory / "helper.json"))


@pytest.fixture
def tree(directory):
	if os.geteuid() != 0:
		pytest.skip("needs root: checks what root refuses to trust")
	path = directory / "outer" / "inner"
	path.mkdir(parents=True)
	(path / "file").write_text(json.dumps({}))
	return directory / "outer"


def test_roots_own_files_are_trusted(tree):
	trust.require_root_owned(str(tree / "inner" / "file"))


@pytest.mark.parametrize("place", ["inner/file", "inner", "."])
@pytest.mark.parametrize("mode", [stat.S_IWGRP, stat.S_IWOTH])
def test_what_others_can_write_is_not_trusted(tree, place, mode):
	(tree / place).chmod(stat.S_IMODE((tree / place).stat().st_mode) | mode)
	with pytest.raises(ConfigurationRefused, match="writable by others"):
		trust.require_root_owned(str(tree / "inner" / "file"))


@pytest.mark.parametrize("place", ["inner/file", "inner", "."])
def test_what_belongs_to_others_is_not_trusted(tree, place):
	os.chown(tree / place, 65534, -1)
	with pytest.raises(ConfigurationRefused, match="belongs to user id 65534"):
		trust.require_root_owned(str(tree / "inner" / "file"))


def test_links_are_judged_where_they_are_and_where_they_lead(tree):
	(tree / "foreign").mkdir()
	os.chown(tree / "foreign", 65534, -1)
	(tree / "foreign" / "link").symlink_to(tree / "inner" / "file")
	(tree / "foreign" / "file").write_text("{}")
	(tree / "inner" / "link").symlink_to(tree / "foreign" / "file")
	for path in ("foreign/link", "inner/link"):
		with pytest.raises(ConfigurationRefused, match="belongs to user id 65534"):
			trust.require_root_owned(str(tree / path))


def test_a_foreign_configuration_is_not_loaded(tree):
	os.chown(tree / "inner" / "file", 65534, -1)
	with pytest.raises(ConfigurationRefused, match="belongs to user id 65534"):
		configuration.load(str(tree / "inner" / "file"))
