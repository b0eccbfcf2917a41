"""One story for every end that a run can come to, for the tests of the report."""

from __future__ import annotations

from typing import Any

from .story import VALIDATE, Story


def condition(
	name: str, holds: bool | None, value: str, threshold: str, evidence: str = ""
) -> dict[str, Any]:
	return {
		"name": name,
		"holds": holds,
		"value": value,
		"threshold": threshold,
		"evidence": evidence,
		"trigger": "",
		"crashed": False,
	}


TESTED = condition(
	"Critical tests: press.api.tests.test_server", True, "8 ran, 0 failed, 0 skipped", "8 tests pass"
)
PINGED = condition("Ping (shop.example)", True, "200 in 13 ms", "200")
LOGGED = condition("New errors in logs", True, "0", "≤ 0")
BROKEN = condition(
	"Critical tests: press.press.doctype.balance_transaction.test_balance_transaction",
	False,
	"7 ran, 1 failed, 0 skipped",
	"7 tests pass",
	"test_ending_balance: AssertionError: 0.0 != 10.0",
)
UNKNOWN = condition("Error Log of erp.shop.example", None, "unknown", "readable", "it could not be read")


def refused(story: Story) -> None:
	story.begin()
	story.preflight(
		(
			"Work tree of press",
			"failed",
			"1 change(s) that are in no commit:  M press/api/site.py",
			"commit, stash or remove them in apps/press",
		),
		(
			"Services: workers",
			"failed",
			"not running: frappe-bench-workers:frappe-bench-frappe-long-worker-0 (FATAL)",
			"start them, and find out why they stopped",
		),
	)
	error = {
		"kind": "Refused",
		"doing": "Preflight of",
		"what": "Press v16",
		"why": "Work tree of press: 1 change(s) that are in no commit",
		"remedy": "commit, stash or remove them",
	}
	story.tell("step-failed", step="preflight", phase="preflight", title="Preflight", error=error)
	story.end(
		"Refused",
		"Work tree of press: 1 change(s) that are in no commit:  M press/api/site.py (and 1 more)",
		error,
	)


def checked(story: Story) -> None:
	story.begin(dry_run=True)
	story.preflight()
	facts = {"step": "preflight", "phase": "preflight", "title": "Preflight"}
	story.tell("step-observed", **facts, result={}, found="6 checks in order, 2 warning(s)")
	story.end("Checked", "the dry run found nothing against this deployment")


def aborted(story: Story) -> None:
	story.begin()
	story.preflight()
	story.prepare()
	story.tell("request-taken", name="r1", action="abort", by="Ada Example", reason="the supplier called")
	why = "Ada Example: the supplier called"
	error = {"kind": "Stopped", "doing": "Stopping", "what": "the run", "why": why, "remedy": ""}
	story.end("Aborted", f"Maintenance on: {why}. Nothing was changed.", error)


def succeeded(story: Story) -> None:
	story.begin()
	story.preflight()
	story.prepare()
	story.change()
	for step in VALIDATE:
		story.do("validate", *step)
	story.tell(
		"note",
		text='Critical tests of press.api.tests.test_server left behind on test.shop.example: {"rows": {"Error Log": 50}}',
	)
	story.conclude("before opening", "GO", TESTED, PINGED, LOGGED)
	story.do("validate", "verdict", "Verdict", 0.1, "GO: all 3 conditions hold")
	story.do("open", "open", "Maintenance off", 0.8, "2 site(s) open: 24 answers in a row were good")
	story.conclude("after opening", "GO", PINGED)
	story.do("open", "public-smoke-tests", "Public smoke tests", 0.4, "GO: all 1 conditions hold")
	slow = {411: 188.0, 412: 240.5, 413: 96.0}
	story.watch(
		1800,
		lambda second: slow.get(second, story.random.gauss(12.2, 0.9)),
		lambda second: 1 if second == 412 else 0,
	)
	story.tell(
		"step-observed",
		step="monitor",
		phase="monitor",
		title="Monitor",
		result={},
		found="3600 answers and 1800 samples",
	)
	story.conclude(
		"after monitoring",
		"GO",
		condition("Error rate", True, "0.0 %", "≤ 5 %", "1 of 3600 answers bad (5xx)"),
		condition("Latency", True, "13.9 ms", "< 500 ms", "95th percentile of 3599 answers; median 12.2 ms"),
		condition(
			"Latency against baseline",
			True,
			"+3 %",
			"≤ +50 % (and more than 20 ms)",
			"median 11.8 ms before, 12.2 ms now",
		),
		LOGGED,
	)
	story.do("monitor", "final-verdict", "Final verdict", 0.1, "GO: all 4 conditions hold")
	story.do("close", "announce-success", "Announce success", 0.7, "2 notified")
	followed_up = "a figure a day, for as many days as Deployment Settings of shop.example say"
	story.do("close", "follow-up", "Open the follow-up", 0.1, followed_up)
	story.end("Succeeded", "the release is live and healthy")


def rolled_back(story: Story) -> None:
	story.begin()
	story.preflight()
	story.prepare()
	story.change()
	for step in VALIDATE:
		story.do("validate", *step)
	story.conclude("before opening", "NO-GO", TESTED, BROKEN, PINGED, LOGGED)
	why = "NO-GO: Critical tests: press.press.doctype.balance_transaction.test_balance_transaction is 7 ran, 1 failed, 0 skipped, wanted 7 tests pass (test_ending_balance: AssertionError: 0.0 != 10.0)"
	story.fail("validate", "verdict", "Verdict", 0.1, why)
	story.roll_back(why)
	story.clock += 0.5
	story.end("Rolled Back", f"rolled back: {why}")


def slow(story: Story) -> None:
	"""Rolled back while it was monitored, by a trigger; then once more, by a person, on the next day."""
	story.begin()
	story.preflight()
	story.prepare()
	story.change()
	story.conclude("before opening", "GO", TESTED, PINGED, LOGGED)
	story.do("validate", "verdict", "Verdict", 0.1, "GO: all 3 conditions hold")
	story.do("open", "open", "Maintenance off", 0.8, "2 site(s) open")
	story.watch(
		40,
		lambda second: None if 25 < second < 29 else 320.0 + second,
		lambda second: 20 if 25 < second < 29 else 0,
	)
	fired = condition(
		"Latency against baseline",
		False,
		"+2618 %",
		"≤ +50 % (and more than 20 ms)",
		"median 11.8 ms before, 321 ms now",
	)
	story.tell("trigger", **fired, action="roll_back")
	story.fail("monitor", "monitor", "Monitor", 0, "NO-GO: Latency against baseline is +2618 %")
	story.roll_back("NO-GO: Latency against baseline is +2618 %", until="health-check")
	error = story.fail(
		"rollback",
		"health-check",
		"Health check",
		5,
		"shop.example answers 502 after the rollback",
		"see its logs",
	)
	story.tell("run-ended", state="Fatal", reason="the rollback stopped", error=error)
	story.clock += 30_000
	story.roll_back("Ada Example: the disk was full", by="Ada Example")
	story.end("Rolled Back", "rolled back: Ada Example: the disk was full")


def waiting(story: Story) -> None:
	story.begin()
	story.preflight()
	story.prepare()
	story.change()
	for step in VALIDATE:
		story.do("validate", *step)
	story.conclude("before opening", "INCONCLUSIVE", TESTED, PINGED, LOGGED, UNKNOWN)
	story.announce("validate", "verdict", "Verdict", 0.1)
	reason = "INCONCLUSIVE: Error Log of erp.shop.example is unknown, wanted readable (it could not be read)"
	story.tell(
		"waiting",
		reason=reason,
		when_nobody_decides="roll_back",
		accepts_go=True,
		step="verdict",
		deadline=story.clock + 1800,
	)
	story.write_answers()


def fatal(story: Story) -> None:
	story.begin()
	story.preflight()
	story.prepare()
	story.change()
	why = (
		"frappe-bench-web:frappe-bench-frappe-web did not come up: "
		+ "ModuleNotFoundError: No module named 'press.overrides.gone'\n" * 3
		+ "x" * 900
	)
	story.fail("validate", "critical-tests", "Critical tests", 3.4, why)
	story.roll_back(f"Critical tests: {why}", until="health-check")
	error = story.fail(
		"rollback",
		"health-check",
		"Health check",
		61.5,
		"the web server does not answer: connection refused",
		"see logs/web.error.log",
	)
	story.tell(
		"note", text="The sites stay in maintenance mode until a person opens them or rolls back again."
	)
	story.tell("journal-repaired", cut_bytes=113, cut_sha256="0" * 64)
	story.end(
		"Fatal",
		f"the rollback stopped at “Health check”: {error['why']}. In maintenance mode: shop.example. Mend the cause, then: press-deploy rollback {story.run.name}",
		error,
	)


def running(story: Story) -> None:
	story.begin()
	story.preflight()


def planned(story: Story) -> None:
	"""A run that exists as a directory and has not begun."""


STORIES = {
	"Succeeded": succeeded,
	"Rolled Back": rolled_back,
	"Refused": refused,
	"Waiting": waiting,
	"Fatal": fatal,
	"Checked": checked,
	"Aborted": aborted,
	"Running": running,
	"Pending": planned,
}
