"""What gets into the configuration: with a person's word where it is unusual, and nobody else's services."""

import json

import pytest

from press_deploy.helper import administration, registration, running
from press_deploy.helper.discovery import Survey
from press_deploy.helper.errors import Conflict, Denied, NotFound
from press_deploy.helper.install import install
from press_deploy.helper.places import Places
from press_deploy.helper.registration import Wishes, find_entry, refuse_shared

from .support import SITES, make_bench, make_entry, running_server

WEB = {
	"kind": "supervisor",
	"socket": "/s.sock",
	"username": None,
	"password": None,
	"realtime": [],
	"workers": [],
}
NEW = "new.example.com"


def services(*web, **changes):
	return {**WEB, "web": list(web), **changes}


@pytest.fixture
def places(directory, monkeypatch):
	places = Places(str(directory / "system"))
	monkeypatch.setattr(administration, "find_own_places", lambda: places)
	return places


@pytest.fixture
def found(bench, monkeypatch):
	"""What a survey will find, and what it was asked: to be changed by the test."""
	seen = {"survey": Survey(make_entry(bench, services=services("frappe:web")), ["frappe:web"]), "asked": []}

	def look(path, socket, login, *, chosen=None):
		seen["asked"].append(chosen)
		entry, survey = seen["survey"].entry, seen["survey"]
		own = {**entry, "services": {**entry["services"], **(chosen or {})}}
		return Survey(own, [] if chosen else survey.unusual, survey.warnings)

	monkeypatch.setattr(registration, "survey", look)
	return seen


def read(places):
	with open(places.configuration) as file:
		return json.load(file)["benches"]


def test_what_is_unusual_takes_a_persons_word_once(bench, places, found):
	shown = []
	with pytest.raises(
		Conflict, match=r"--yes if they do, or name all services yourself: --program web=NAME"
	):
		install(str(bench), prefix=places.prefix, confirm=lambda lines: shown.append(lines) or False)
	assert shown[0][1:] == ["  web: frappe:web"] and str(bench) in shown[0][0]
	install(str(bench), prefix=places.prefix, confirm=lambda lines: True)
	assert read(places)["shop"]["services"]["chosen"] == ["frappe:web"]
	install(str(bench), prefix=places.prefix, confirm=lambda lines: pytest.fail("asked again"))
	entry = make_entry(bench, services=services("frappe:web", workers=["frappe:jobs"]))
	found["survey"] = Survey(entry, ["frappe:jobs", "frappe:web"])
	with pytest.raises(Conflict, match="frappe:jobs belong"):
		install(str(bench), prefix=places.prefix)


def test_usual_services_need_nobody(bench, places, found):
	found["survey"] = Survey(
		make_entry(bench, services=services("shop-web:shop-frappe-web")), [], ["mind this"]
	)
	lines = install(str(bench), prefix=places.prefix)
	assert "  warning: mind this" in lines
	assert "chosen" not in read(places)["shop"]["services"]


def test_what_was_named_by_hand_stays_so(bench, places, found):
	wishes = Wishes(programs={"web": ["erp:web"], "workers": ["erp:jobs"]})
	install(str(bench), prefix=places.prefix, wishes=wishes)
	assert read(places)["shop"]["services"]["by_hand"] is True
	install(str(bench), prefix=places.prefix)
	administration.refresh(places, None, lambda lines: False)
	assert found["asked"][1:] == [{"web": ["erp:web"], "realtime": [], "workers": ["erp:jobs"]}] * 2


@pytest.mark.parametrize(
	("theirs", "ours", "is_shared"),
	[
		(services("a:web"), services("a:web"), True),
		(services("a:web"), services("b:web", workers=["a:web"]), True),
		(services("a:web"), services("b:web"), False),
		(services("a:web"), services("a:web", socket="/other.sock"), False),
		(services("a.service", kind="systemd"), services("a.service", kind="systemd"), True),
		(services("a.service", kind="systemd"), services("a.service", kind="systemd-user"), False),
	],
)
def test_a_service_belongs_to_one_bench(bench, theirs, ours, is_shared):
	data = {"benches": {"other": {**make_entry(bench, services=theirs), "path": "/o"}}}
	entry = make_entry(bench, services=ours)
	if not is_shared:
		return refuse_shared(data, "shop", entry)
	with pytest.raises(Conflict, match=r"belong to the bench other \(/o\)"):
		refuse_shared(data, "shop", entry)


def test_users_of_two_benches_have_a_systemd_each(bench):
	own = services("web.service", kind="systemd-user")
	data = {"benches": {"other": {**make_entry(bench, services=own), "user": "daemon"}}}
	refuse_shared(data, "shop", make_entry(bench, services=own))
	with pytest.raises(Conflict):
		refuse_shared(data, "shop", {**make_entry(bench, services=own), "user": "daemon"})


def test_a_bench_that_is_installed_again_does_not_collide_with_itself(bench, found):
	data = {"benches": {"shop": make_entry(bench, services=services("frappe:web", chosen=["frappe:web"]))}}
	assert find_entry(data, "shop", str(bench), Wishes(), lambda lines: False).entry


def test_refresh_takes_new_sites_over_at_once(bench, places, found, monkeypatch, capsys):
	monkeypatch.setattr(running, "ANSWER_SECONDS", 0.1)
	install(str(bench), prefix=places.prefix, confirm=lambda lines: True)
	assert administration.main(["refresh"]) == 0
	assert f"No helper answers at {places.socket}" in capsys.readouterr().out
	found["survey"].entry["sites"].append(NEW)
	assert administration.main(["refresh", "--bench", "shop"]) == 0
	assert f"Refreshed: shop, {bench}" in capsys.readouterr().out
	assert read(places)["shop"]["sites"] == [*SITES, NEW]


def test_refresh_says_what_the_helper_that_runs_serves(bench, places, found, monkeypatch, capsys):
	monkeypatch.setattr(running, "ANSWER_SECONDS", 0.1)
	found["survey"] = Survey(make_entry(bench))
	install(str(bench), prefix=places.prefix)
	with open(places.configuration) as file:
		data = json.load(file)
	with running_server(data):
		assert administration.main(["refresh"]) == 0
		assert "The helper that runs serves shop with all its sites." in capsys.readouterr().out
		found["survey"].entry["sites"].append(NEW)
		assert administration.main(["refresh"]) == 0
		# This one was given no file to look at, as one of former times.
		assert "serves shop as before. Restart it" in capsys.readouterr().out
		assert administration.main(["status"]) == 0
		assert json.loads(capsys.readouterr().out)["shop"]["sites"] == list(SITES)


def test_refresh_of_a_bench_that_is_not_known_names_those_that_are(bench, places, found):
	install(str(bench), prefix=places.prefix, confirm=lambda lines: True)
	with pytest.raises(NotFound, match="knows no bench other; it knows shop"):
		administration.refresh(places, "other", lambda lines: True)


def test_a_copy_of_the_bench_is_no_installation():
	with pytest.raises(Denied, match="helper install"):
		administration.main(["status"])


def test_without_a_terminal_nothing_is_confirmed(monkeypatch, capsys):
	monkeypatch.setattr("sys.stdin", open("/dev/null"))
	assert administration.confirm(["shown"]) is False
	assert capsys.readouterr().out == "shown\n"


def test_two_benches_of_one_name_can_both_be_installed(bench, directory, places, found):
	install(str(bench), prefix=places.prefix, entry=make_entry(bench))
	other = make_bench(directory / "b" / "shop")
	install(str(other), prefix=places.prefix, name="second", entry=make_entry(other))
	assert {name: entry["path"] for name, entry in read(places).items()} == {
		"shop": str(bench),
		"second": str(other),
	}
