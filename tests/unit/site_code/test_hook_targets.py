"""Hooks of an app: what is taken for a path to code, and whether it leads anywhere."""

from __future__ import annotations

import sys

import pytest

from press_deploy.site.hook_targets import Target, find_targets, resolve

APP = "press_deploy_test_app"


@pytest.fixture
def app(tmp_path, monkeypatch):
	package = tmp_path / APP
	(package / "sub").mkdir(parents=True)
	for name, content in {
		"__init__.py": "",
		"tasks.py": "def daily(): pass\n\nclass Clerk:\n\tdef work(self): pass\n",
		"broken.py": "import module_that_is_not_there\n",
		"wrong.py": "def daily(:\n",
		"sub/__init__.py": "def inside(): pass\n",
	}.items():
		(package / name).write_text(content)
	monkeypatch.syspath_prepend(str(tmp_path))
	yield package
	for name in [name for name in sys.modules if name.partition(".")[0] == APP]:
		del sys.modules[name]


def paths(hooks, doctypes=("*", "Item"), apps=(APP,)):
	return [target.path for target in find_targets(hooks, set(doctypes), set(apps))]


@pytest.mark.parametrize(
	("hooks", "found"),
	[
		({"boot_session": f"{APP}.boot.add"}, [f"{APP}.boot.add"]),
		({"scheduler_events": {"cron": {"* * * * *": ["a.b"]}, "daily": ["c.d"]}}, ["a.b", "c.d"]),
		(
			{"doc_events": {"Item": {"on_update": ["a.b", "c.d"]}, "*": {"on_trash": "e.f"}}},
			["a.b", "c.d", "e.f"],
		),
		({"doc_events": {("Item", "Other"): {"on_update": "a.b"}}}, ["a.b"]),
		({"doc_events": {"Of Another App": {"on_update": "a.b"}}}, []),
		({"override_doctype_class": {"Item": "a.b.C", "Of Another App": "d.e.F"}}, ["a.b.C"]),
		({"override_whitelisted_methods": {"x.y": "download_file", "x.z": "a.b"}}, ["a.b"]),
		(
			{"jinja": {"methods": "a.b", "filters": ["c.d"]}, "jenv": {"methods": ["name:e.f"]}},
			["a.b", "c.d", "e.f"],
		),
		({"add_to_apps_screen": [{"name": "x", "has_permission": f"{APP}.may"}]}, [f"{APP}.may"]),
		({"app_include_js": f"{APP}.bundle.js", "app_include_css": [f"/assets/{APP}/x.css"]}, []),
		({"app_email": f"x@{APP}.example", "app_version": "1.0.0", "develop_version": "16.x.x-develop"}, []),
		(
			{
				"website_route_rules": [{"from_route": "/a/<path:b>", "to_route": "a"}],
				"home_page": "a.example",
			},
			[],
		),
		(
			{"fixtures": [{"dt": "Role", "filters": [["name", "in", [f"{APP}.x"]]]}], "_private": f"{APP}.x"},
			[],
		),
		({"after_migrate": ["a.b", "a.b", 7, None, print], "on_login": ""}, ["a.b"]),
	],
)
def test_paths(hooks, found):
	assert paths(hooks) == found


@pytest.mark.parametrize("path", ["tasks.daily", "tasks", "tasks.Clerk.work", "sub.inside"])
def test_leads_somewhere(app, path):
	assert resolve(Target("daily", f"{APP}.{path}", True)) is not None


@pytest.mark.parametrize(
	("path", "kind", "said"),
	[
		("tasks.weekly", AttributeError, "weekly"),
		("nowhere.daily", ModuleNotFoundError, f"{APP}.nowhere"),
		("broken.daily", ModuleNotFoundError, "module_that_is_not_there"),
		("wrong.daily", SyntaxError, "invalid syntax"),
	],
)
def test_leads_nowhere(app, path, kind, said):
	with pytest.raises(kind, match=said):
		resolve(Target("daily", f"{APP}.{path}", True))


def test_what_may_be_no_path_fails_only_where_code_is_broken(app):
	for path in ("tasks.weekly", "example.com"):
		assert resolve(Target("some_hook", f"{APP}.{path}", False)) is None
	with pytest.raises(ModuleNotFoundError, match="module_that_is_not_there"):
		resolve(Target("some_hook", f"{APP}.broken.daily", False))
