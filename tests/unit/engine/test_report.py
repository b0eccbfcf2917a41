"""The report: every end of a run as one page that needs nothing else, says what was, and trusts no text."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from press_deploy.engine.report import charts
from press_deploy.engine.report.page import duration, figure, offset, plain, sentence
from press_deploy.engine.report.writing import render_html, write_report

from .report_stories import (
	STORIES,
	condition,
	fatal,
	rolled_back,
	slow,
	succeeded,
)
from .story import BEGIN, PLAN, UNDO, Story

HOSTILE = (
	"<script>alert(1)</script><img src=x onerror=alert(2)>\"' javascript:alert(3) \x1b[31mred\x1b[0m\u202etxt"
)


class Page(HTMLParser):
	"""A page as a browser would take it: its tags, their attributes, and the text between them."""

	def __init__(self, html: str):
		super().__init__()
		self.html, self.tags, self.attributes, self.text = html, [], [], ""
		self.feed(html)
		self.text = " ".join(self.text.split())

	def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
		self.tags.append(tag)
		self.attributes += attrs

	def handle_data(self, data: str) -> None:
		self.text += f" {data}"


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
	"""The report of a story; with `plan`, fields of the plan that differ."""

	def write(story_of: Callable[[Story], None], **plan: Any) -> dict[str, Any]:
		story = Story(tmp_path / "frappe-bench", monkeypatch, plan)
		story_of(story)
		story.journal.close()
		return story.report()

	return write


@pytest.mark.parametrize("state", STORIES)
def test_every_state_renders(tell, state):
	report = tell(STORIES[state])
	page = Page(render_html(report))
	assert report["state"] == state
	assert state in page.text and report["run"] in page.text and "shop.example" in page.text
	assert "Undefined" not in page.html and "None" not in page.text


@pytest.mark.parametrize("state", STORIES)
def test_page_needs_nothing_else(tell, state):
	page = Page(render_html(tell(STORIES[state])))
	assert not {"script", "link", "img", "iframe", "object", "form", "a", "base"} & set(page.tags)
	assert not [name for name, _value in page.attributes if name.startswith("on") or name in ("src", "href")]
	assert not re.search(r"url\(|@import|https?://", page.html)
	assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_hostile_text_stays_text(tell):
	def story_of(story: Story) -> None:
		story.begin()
		story.tell("check", name=HOSTILE, outcome="warning", found=HOSTILE, remedy=HOSTILE)
		story.do("prepare", "baseline", HOSTILE, 1, HOSTILE)
		story.change()
		story.conclude(
			HOSTILE,
			HOSTILE,
			condition(HOSTILE, False, HOSTILE, HOSTILE, HOSTILE),
			by=HOSTILE,
			measured=HOSTILE,
		)
		story.tell("note", text=HOSTILE)
		story.tell("trigger", **condition(HOSTILE, False, HOSTILE, HOSTILE, HOSTILE), action=HOSTILE)
		story.tell("request-taken", name="r1", action=HOSTILE, by=HOSTILE, reason=HOSTILE)
		error = story.fail("monitor", "monitor", HOSTILE, 1, HOSTILE, HOSTILE)
		story.roll_back(HOSTILE, by=HOSTILE)
		story.end("Fatal", HOSTILE, error)

	line = HOSTILE.replace("\x1b", "")
	report = tell(
		story_of,
		title=line,
		objective=HOSTILE,
		approved_by=line,
		checklist=[{"item": line, "done_by": line}],
		people=[{"role": line, "name": line, "contact": "javascript:alert(3)"}],
		timeline=[{"minute": 0, "phase": line, "action": line}],
	)
	report["apps"] = [{"name": HOSTILE, "before": HOSTILE, "wanted": HOSTILE, "now": HOSTILE}]
	report["outages"].append(
		{"site": HOSTILE, "first_bad": BEGIN, "last_bad": BEGIN, "seconds": 1.0, "kinds": {HOSTILE: 1}}
	)
	report["answers"]["counts"][HOSTILE] = 1
	page = Page(render_html(report))
	assert page.text.count("<script>alert(1)</script>") > 20
	assert not {"script", "img", "a"} & set(page.tags)
	assert not [name for name, _value in page.attributes if name.startswith("on") or name in ("src", "href")]
	assert not {"\x1b", "\u202e"} & set(page.html)


def test_planned_stands_beside_actual(tell):
	report = tell(succeeded)
	lines, page = charts.draw(report)["timelines"], Page(render_html(report))
	assert [bar["action"] for bar in lines["planned"]] == [each["action"] for each in PLAN["timeline"]]
	assert {bar["name"] for bar in lines["actual"]} == {
		step["name"] for step in report["steps"] if step["status"] == "done"
	}
	assert "Planned 1 h 18 min, T−25:00 to T+53:00" in page.text and "Actual 31 min" in page.text
	by_name = {bar["name"]: bar for bar in lines["actual"]}
	assert by_name["maintenance"]["x"] == pytest.approx(lines["zero"])
	assert all(
		0 <= bar["x"] <= bar["x"] + bar["width"] <= 100 for bar in [*lines["planned"], *lines["actual"]]
	)


def test_downtime_says_what_visitors_saw(tell):
	report = tell(succeeded)
	page = Page(render_html(report))
	assert len(report["outages"]) == 2 and report["answers"]["counts"]["refused"] == 50
	assert "503 (maintenance)" in page.text and "connection refused" in page.text
	assert duration(report["downtime_seconds"]) in page.text


@pytest.mark.parametrize("state", ["Refused", "Checked", "Aborted"])
def test_downtime_that_was_not_measured_is_not_zero(tell, state):
	page = Page(render_html(tell(STORIES[state])))
	assert "not measured Downtime: no site was closed" in page.text
	assert "While the sites were closed" not in page.text


@pytest.mark.parametrize(
	("state", "words"),
	[
		("Fatal", ["maintenance mode", "press-deploy rollback", "see logs/web.error.log"]),
		("Waiting", ["press-deploy decide", "rolls back by itself", "before 2026-01-14 02:"]),
		("Refused", ["Nothing was changed", "Mend these 2", "start them, and find out why they stopped"]),
		("Aborted", ["never closed", "Start a new run"]),
		("Running", ["no process goes on with it", "press-deploy resume"]),
	],
)
def test_page_says_what_to_do_now(tell, state, words):
	text = Page(render_html(tell(STORIES[state]))).text
	assert not [each for each in words if each not in text]


def test_sites_are_said_to_be_closed_only_while_they_are(tell):
	assert "sites are in maintenance mode" in Page(render_html(tell(fatal))).text


def test_sites_that_were_opened_are_not_said_to_be_closed(tell):
	assert "sites are in maintenance mode" not in Page(render_html(tell(rolled_back))).text


def test_several_rollbacks(tell):
	report = tell(slow)
	drawn, page = charts.draw(report), Page(render_html(report))
	assert "Earlier attempts" in page.text and "shop.example answers 502 after the rollback" in page.text
	assert "Ada Example: the disk was full" in page.text
	assert len(drawn["windows"]) == 2 and drawn["windows"][1]["end"] is not None
	assert {bar["name"] for bar in drawn["timelines"]["later"]} == {step[0] for step in UNDO}
	assert [incident["kind"] for incident in report["incidents"]] == ["trigger", "failure", "note", "failure"]


def test_incidents_are_in_time_order(tell):
	incidents = tell(fatal)["incidents"]
	assert [incident["kind"] for incident in incidents] == ["failure", "failure", "note", "note"]
	assert incidents == sorted(incidents, key=lambda incident: incident["time"])


def test_empty_plan_lists_leave_no_empty_sections(tell):
	page = Page(render_html(tell(rolled_back, checklist=[], people=[], timeline=[], objective="")))
	assert not {"Checklist</h2>", "People and contacts</h2>"} & set(re.findall(r"[\w ]+</h2>", page.html))
	assert "the plan has no timeline" in page.text


def test_long_error_is_shortened_on_the_page_alone(tell):
	def story_of(story: Story) -> None:
		story.begin()
		story.end("Aborted", "x", story.fail("prepare", "backup", "Backup", 1, "y" * 50_000))

	report = tell(story_of)
	assert report["error"]["why"] == "y" * 50_000
	assert len(render_html(report)) < 60_000


def test_both_files_are_written(tmp_path, monkeypatch):
	story = Story(tmp_path / "frappe-bench", monkeypatch)
	rolled_back(story)
	story.journal.close()
	write_report(story.bench, story.run)
	assert story.run.report_html.stat().st_mode & 0o777 == 0o600
	assert '"verdict": "NO-GO"' in story.run.report_json.read_text()


@pytest.mark.parametrize(
	("function", "value", "written"),
	[
		(duration, None, "–"),
		(duration, 0, "0 s"),
		(duration, 0.004, "4 ms"),
		(duration, 60.0, "1 min"),
		(duration, 0.251, "0.25 s"),
		(duration, 12.34, "12.3 s"),
		(duration, 250, "4 min 10 s"),
		(duration, 4380, "1 h 13 min"),
		(duration, 200_000, "2 days 7 h"),
		(offset, 0, "T+0:00"),
		(offset, -1800, "T−30:00"),
		(offset, 12.4, "T+0:12"),
		(offset, 30_000, "T+8:20:00"),
		(figure, 0.854, "0.85"),
		(figure, 12.34, "12.3"),
		(figure, 412.6, "413"),
		(figure, 0, "0"),
		(plain, "\x1b[1;31mred\x1b[0m\x07", "red"),
		(plain, "a\nb\tc", "a\nb\tc"),
		(sentence, "it broke", "It broke."),
		(sentence, "", ""),
	],
)
def test_words(function, value, written):
	assert function(value) == written
