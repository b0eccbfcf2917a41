"""The prober: what users saw, from real answers; nothing that went unanswered is forgotten."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from press_deploy.engine.bench.answer import BROKEN, GOOD, MAINTENANCE, REFUSED
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.web import Web
from press_deploy.engine.ground.errors import InputError
from press_deploy.engine.watching.prober import Prober
from press_deploy.engine.watching.probes import (
	GAP_SECONDS,
	Probe,
	downtime_seconds,
	find_outages,
	read_probes,
)
from tests.support.small_disk import fill_disk, small_disk

from .support import SITE, make_bench, make_spec, nobody_listening, reply, serve, wait_until


def series(*pairs, site=SITE):
	return [Probe(time, site, None, kind, 1.0) for time, kind in pairs]


OUTAGES = {
	"none": ([(1, GOOD), (2, GOOD)], []),
	"nothing asked": ([], []),
	"until the first good answer": ([(1, GOOD), (2, "503"), (2.1, "503"), (2.5, GOOD)], [(2, 2.1, 0.5)]),
	"a single bad answer": ([(1, GOOD), (2, "5xx"), (2.1, GOOD)], [(2, 2, 0.1)]),
	"not over yet": ([(1, GOOD), (2, "503"), (5, "503")], [(2, 5, 3.1)]),
	"bad from the start": ([(1, "503"), (2, GOOD)], [(1, 1, 1)]),
	"two with a pause": ([(1, "503"), (2, GOOD), (9, "503"), (9.5, GOOD)], [(1, 1, 1), (9, 9, 0.5)]),
	"two with a short gap": ([(1, "503"), (2, GOOD), (2.9, "503"), (3, GOOD)], [(1, 2.9, 2)]),
	"a gap that is long enough": ([(1, "503"), (2, GOOD), (3, "503"), (4, GOOD)], [(1, 1, 1), (3, 3, 1)]),
}


@pytest.mark.parametrize("pairs,expected", OUTAGES.values(), ids=OUTAGES)
def test_outages_last_until_the_first_good_answer(pairs, expected):
	found = find_outages(series(*pairs))
	assert [(each.first_bad, each.last_bad, each.seconds) for each in found] == expected
	assert downtime_seconds(found) == pytest.approx(sum(each[2] for each in expected), abs=0.001)


def test_downtime_is_that_of_the_site_that_was_away_longest():
	outages = find_outages(
		series((1, "503"), (2, GOOD), (5, "5xx"), (6, GOOD)) + series((1, "503"), (2.5, GOOD), site="b")
	)
	assert downtime_seconds(outages) == 2.0 and [each.site for each in outages] == [SITE, "b", SITE]


def test_the_kinds_of_an_outage_are_counted():
	(outage,) = find_outages(series((1, "503"), (1.1, "503"), (1.2, "refused"), (1.3, GOOD)))
	assert outage.kinds == {"503": 2, "refused": 1}


@given(st.lists(st.tuples(st.floats(1, 1000), st.sampled_from([GOOD, "503", "refused"]))))
def test_no_bad_answer_is_lost_and_outages_keep_apart(pairs):
	probes = series(*sorted(pairs))
	outages = find_outages(probes)
	assert sum(sum(each.kinds.values()) for each in outages) == sum(probe.kind != GOOD for probe in probes)
	for outage in outages:
		assert outage.first_bad <= outage.last_bad and outage.seconds >= 0
	for earlier, later in pairwise(outages):
		assert later.first_bad - earlier.last_bad >= GAP_SECONDS - 1e-6


HEADER = "time,site,status,kind,latency_ms\n"
TORN = {
	"no status": ("1.0,a,,refused,2.0\n", [(1.0, None, "refused")]),
	"a torn line": ("1.0,a,200,good,2.0\n2.0,a,20", [(1.0, 200, "good")]),
	"a torn line and one behind it": (
		"1.0,a,200,good,53.0,a,200,good,2.0\n4.0,a,200,good,2.0\n",
		[(4.0, 200, "good")],
	),
	"rubbish": ("x,y\n1.0,a,200,good,2.0\n,,,,\n", [(1.0, 200, "good")]),
	"no text": ("\udcff\udcfe\n1.0,a,200,good,2.0\n", [(1.0, 200, "good")]),
	"out of order": ("2.0,a,200,good,2.0\n1.0,a,503,503,2.0\n", [(1.0, 503, "503"), (2.0, 200, "good")]),
}


@pytest.mark.parametrize("content,expected", TORN.values(), ids=TORN)
def test_a_torn_line_is_passed_over(tmp_path, content, expected):
	(tmp_path / "probes.csv").write_text(HEADER + content, errors="surrogateescape")
	found = [(probe.time, probe.status, probe.kind) for probe in read_probes(tmp_path / "probes.csv")]
	assert found == expected


@pytest.mark.parametrize("content", ["", "ti", "time,si\n1.0,a\n"])
def test_a_torn_header_leaves_nothing(tmp_path, content):
	(tmp_path / "probes.csv").write_text(content)
	assert read_probes(tmp_path / "probes.csv") == read_probes(tmp_path / "none.csv") == []


@pytest.fixture
def make_prober(tmp_path):
	bench = Bench(make_bench(tmp_path / "bench"))
	made = []

	def make(address, file=tmp_path / "probes.csv") -> Prober:
		web = Web(bench, make_spec(sites=[{"name": SITE, "public_url": address}]))
		made.append(Prober(web, [SITE], "/ping", file))
		return made[-1]

	yield make
	for prober in made:
		prober.close()


def test_it_writes_down_what_a_visitor_gets(make_prober, tmp_path):
	state = {"answer": reply(200)}
	with serve(lambda handler: state["answer"](handler)) as server:
		prober = make_prober(server.address)
		prober.ensure_started(0.02)
		prober.ensure_started(0.02)
		for kind, answer in (
			(GOOD, reply(200)),
			(MAINTENANCE, reply(503)),
			("5xx", reply(500)),
			(GOOD, reply(200)),
		):
			state["answer"] = answer
			known = len(read_probes(tmp_path / "probes.csv"))
			wait_until(
				lambda known=known, kind=kind: (
					kind in [each.kind for each in read_probes(tmp_path / "probes.csv")[known:]]
				),
				f"an answer {kind}",
			)
		prober.close()
		asked = len(server.requests)
	probes = read_probes(tmp_path / "probes.csv")
	assert len(probes) == asked == len(prober.take()) and prober.take() == []
	(outage,) = find_outages(probes)
	assert set(outage.kinds) == {MAINTENANCE, "5xx"}
	assert {headers["Connection"] for _method, _path, headers in server.requests} == {"close"}


def test_it_goes_on_in_the_file_of_the_run_before(make_prober, tmp_path):
	with serve(reply(200)) as server:
		for _time in range(2):
			prober = make_prober(server.address)
			prober.ensure_started(0.02)
			wait_until(prober.take, "a probe")
			prober.close()
	text = (tmp_path / "probes.csv").read_text()
	assert (
		text.count("time,site") == 1
		and len(read_probes(tmp_path / "probes.csv")) == len(text.splitlines()) - 1
	)


def test_a_full_disk_leaves_rows_out_and_stops_nobody(make_prober, tmp_path):
	disk = tmp_path / "disk"
	with small_disk(disk, "64k"), serve(reply(200)) as server:
		prober = make_prober(server.address, disk / "probes.csv")
		fill_disk(disk / "filler")
		prober.ensure_started(0.01)
		wait_until(prober.take, "a probe that nobody could write down")
		assert read_probes(disk / "probes.csv") == []
		(disk / "filler").unlink()
		wait_until(lambda: read_probes(disk / "probes.csv"), "a probe that was written down")
		fill_disk(disk / "filler")
		prober.take()
		wait_until(lambda: len(prober.take()) > 0, "one more that nobody could write down")
		prober.close()
		lines = (disk / "probes.csv").read_text().splitlines()
		assert len(read_probes(disk / "probes.csv")) == len(lines) - 1


def test_nobody_listening_is_a_bad_answer(make_prober):
	with nobody_listening() as address:
		prober = make_prober(address)
		prober.ensure_started(0.02)
		assert {probe.kind for probe in wait_until(prober.take, "a probe")} == {REFUSED}


def test_a_question_that_cannot_be_asked_is_a_bad_answer_each_time(make_prober, monkeypatch):
	def fail(*_arguments, **_options):
		raise InputError("common_site_config.json", "", "it is not JSON", "mend it")

	monkeypatch.setattr(Web, "ask", fail)
	prober, taken = make_prober("http://127.0.0.1:1"), []
	prober.ensure_started(0.01)
	wait_until(lambda: taken.extend(prober.take()) or len(taken) > 10, "more probes than may be under way")
	assert {probe.kind for probe in taken} == {BROKEN}
