"""The practice bench's own parts: what it is built of, and that they behave like a bench's."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from press_deploy.demo import processes, releases
from press_deploy.demo.build import SCHEMA, build_bench, open_or_build
from press_deploy.demo.places import LONGEST_DIRECTORY, SITE, TEST_SITE
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.bench.preview import open_preview
from press_deploy.engine.bench.programs import Programs
from press_deploy.engine.bench.site_processes import SiteProcesses
from press_deploy.engine.bench.web import Web
from press_deploy.engine.ground.errors import InputError, SiteProcessFailed
from tests.support.practice_bench import (
	LIMIT_SECONDS,
	WEB,
	WORKERS,
	call,
	git,
	programs,
	query,
	restart,
	set_key,
	switch,
	wait_until,
)

ANSWERS = 40
TABLES = SCHEMA.count("CREATE TABLE")


def ask_often(bench, site=SITE):
	return {bench.ask(site=site).status for _ in range(ANSWERS)}


class TestBuilding:
	def test_commits_are_the_same_everywhere(self, practice_bench, tmp_path, monkeypatch):
		monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody Else")
		monkeypatch.setenv("GIT_COMMITTER_DATE", "2001-01-01T00:00:00")
		other = build_bench(tmp_path / "other")
		for release in releases.RELEASES:
			origins = (practice_bench.places.origin, other.places.origin)
			assert len({releases.find_commit(origin, release) for origin in origins}) == 1

	def test_every_release_differs_where_it_says(self):
		installed = {"shop/__init__.py": releases._version("1.0.0"), **releases.INSTALLED_FILES}
		seen = set()
		for changes in releases.CHANGES.values():
			assert all(installed.get(path) != content for path, content in changes.items())
			seen.add(json.dumps(changes))
		assert len(seen) == len(releases.CHANGES)

	def test_app_is_cloned_as_bench_does_it(self, practice_bench):
		assert git(practice_bench, "remote") == "upstream"
		assert git(practice_bench, "symbolic-ref", "--short", "HEAD") == "main"
		assert git(practice_bench, "status", "--porcelain") == ""
		assert Bench.open(practice_bench.path).sites() == [SITE, TEST_SITE]

	def test_other_content_is_refused(self, tmp_path):
		(tmp_path / "thesis.txt").write_text("mine")
		with pytest.raises(InputError, match="not empty"):
			build_bench(tmp_path)
		assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]

	def test_path_that_supervisor_would_read_otherwise_is_refused(self, tmp_path):
		with pytest.raises(InputError, match="directory"):
			build_bench(tmp_path / "100%")

	def test_existing_bench_is_opened(self, practice_bench):
		assert open_or_build(practice_bench.directory).path == practice_bench.path

	def test_plan_is_valid_for_every_release(self, practice_bench):
		for release in releases.RELEASES:
			plan = practice_bench.plan(release, 3.0, title="Mine")
			assert (plan.title, plan.apps[0].ref, plan.monitor.seconds) == ("Mine", release, 3.0)


class TestServices:
	def test_everything_answers(self, running_bench):
		bench = running_bench
		assert json.loads(bench.ask().text) == {"message": "pong"}
		assert "Rope, 10 m: 14.50" in bench.ask("/").text
		assert bench.served_version() == "1.0.0"
		assert bench.ask(site="127.0.0.1").status == 200
		assert bench.ask(site="unknown.localhost").status == 404
		assert bench.ask("/nothing").status == 404
		assert bench.helper.status()["leases"] == []

	def test_maintenance_takes_a_reload(self, running_bench):
		assert ask_often(running_bench) == {200}
		set_key(running_bench, SITE, "maintenance_mode", 1)
		assert ask_often(running_bench) == {200}
		running_bench.helper.reload(WEB)
		wait_until(lambda: ask_often(running_bench) == {503}, "maintenance")
		assert ask_often(running_bench, TEST_SITE) == {200}

	def test_preview_serves_behind_maintenance(self, running_bench, tmp_path):
		set_key(running_bench, SITE, "maintenance_mode", 1)
		restart(running_bench, WEB)
		web = Web(Bench.open(running_bench.path), running_bench.plan("good"))
		bench = Bench.open(running_bench.path)
		with open_preview(bench, [SITE], tmp_path / "preview", Programs(), web) as address:
			assert web.ask(SITE, address=address).status == 200
			assert "Anchor" in web.ask(SITE, "/", address=address).text
			assert ask_often(running_bench) == {503}

	def test_new_code_takes_a_restart(self, running_bench):
		git(running_bench, "fetch", "--quiet", "upstream", "good")
		git(running_bench, "checkout", "--quiet", "--detach", "FETCH_HEAD")
		running_bench.helper.reload(WEB)
		assert running_bench.served_version() == "1.0.0"
		restart(running_bench, WEB)
		assert running_bench.served_version() == "2.0.0"
		assert git(running_bench, "status", "--porcelain") == ""

	def test_worker_does_jobs(self, running_bench):
		query(running_bench, SITE, "INSERT INTO jobs (function) VALUES ('value_stock'), ('no_such_function')")
		wait_until(lambda: not unfinished_jobs(running_bench), "the end of the jobs")
		rows = query(running_bench, SITE, "SELECT status, result FROM jobs ORDER BY id")
		assert rows[0] == ("done", "174.4")
		assert rows[1][0] == "failed"
		assert query(running_bench, SITE, "SELECT method FROM `tabError Log`") == [
			("shop.jobs.no_such_function",)
		]

	def test_worker_finishes_its_job_on_sigterm(self, running_bench):
		query(
			running_bench,
			SITE,
			"""INSERT INTO jobs (function, arguments) VALUES ('pack', '{"seconds": 3}')""",
		)
		wait_until(lambda: jobs_at(running_bench) == [("pack", "running")], "the job at work")
		(worker,) = programs(running_bench, WORKERS)
		os.kill(worker["pid"], signal.SIGTERM)
		assert unfinished_jobs(running_bench) == [("running",)]
		wait_until(lambda: not psutil.pid_exists(worker["pid"]), "the end of the worker")
		assert query(running_bench, SITE, "SELECT status, result FROM jobs") == [("done", "3")]

	def test_killed_worker_leaves_no_busy_job(self, running_bench):
		query(
			running_bench,
			SITE,
			"""INSERT INTO jobs (function, arguments) VALUES ('pack', '{"seconds": 60}')""",
		)
		wait_until(lambda: jobs_at(running_bench) == [("pack", "running")], "the job at work")
		os.kill(programs(running_bench, WORKERS)[0]["pid"], signal.SIGKILL)
		wait_until(lambda: not unfinished_jobs(running_bench), "the next worker")


class TestStopping:
	def test_nothing_is_left(self, running_bench):
		found = processes.find_all(running_bench.places)
		assert len(found) >= 5  # supervisor, web server with two workers, worker, helper
		running_bench.stop()
		assert_gone(running_bench, found)

	def test_nothing_is_left_of_a_killed_supervisor(self, running_bench):
		found = processes.find_all(running_bench.places)
		for process in found:
			if "supervisor.supervisord" in process.cmdline():
				process.kill()
				process.wait()
		assert any(is_alive(process) for process in found)
		running_bench.stop()
		assert_gone(running_bench, found)

	def test_another_process_ends_what_a_dead_one_started(self, practice_bench):
		command = [sys.executable, "-m", "press_deploy.demo"]
		subprocess.run([*command, "start", str(practice_bench.directory)], check=True, timeout=60)
		found = processes.find_all(practice_bench.places)
		assert practice_bench.ask().status == 200
		subprocess.run([*command, "stop", str(practice_bench.directory)], check=True, timeout=60)
		assert_gone(practice_bench, found)

	def test_neighbours_and_shells_in_the_directory_are_spared(self, practice_bench):
		command = [sys.executable, "-c", "import sys; sys.stdin.read()", str(practice_bench.path)]
		with subprocess.Popen(command, cwd=practice_bench.path, stdin=subprocess.PIPE) as neighbour:
			practice_bench.stop()
			assert neighbour.poll() is None
			neighbour.communicate()

	def test_it_starts_again_at_the_same_address(self, running_bench):
		port = running_bench.port
		running_bench.stop()
		running_bench.start()
		assert running_bench.port == port
		assert running_bench.ask().status == 200

	def test_it_evades_a_port_that_is_taken(self, practice_bench):
		with socket.create_server(("127.0.0.1", practice_bench.port)):
			practice_bench.start()
			assert practice_bench.ask().status == 200

	def test_long_path(self, tmp_path):
		bench = build_bench(tmp_path / ("long" * 30))
		try:
			assert len(str(bench.places.runtime)) <= LONGEST_DIRECTORY
			bench.start()
			assert bench.ask().status == 200
		finally:
			bench.remove()
		assert not bench.directory.exists() and not bench.places.runtime.exists()


class TestReleases:
	"""Switched by hand; what the engine makes of them is another matter."""

	@pytest.mark.parametrize(
		("release", "ping", "home"),
		[
			("good", 200, 200),
			("failing-tests", 200, 200),
			("http-errors", 200, 500),
			("slow", 200, 200),
			("broken-import", 500, 500),
			("log-errors", 200, 200),
		],
	)
	def test_release(self, running_bench, release, ping, home):
		switch(running_bench, release)
		log = running_bench.path / "logs" / "web.log"
		former = log.stat().st_size if log.exists() else 0
		answer = running_bench.ask()
		assert (answer.status, running_bench.ask("/").status) == (ping, home)
		assert (answer.latency_ms > 700) == (release == "slow")
		written = log.read_bytes()[former:] if log.exists() else b""
		assert (b"ERROR" in written) == (release in ("http-errors", "broken-import", "log-errors"))
		assert b"Traceback" in written or b"ERROR" not in written
		tests = call(running_bench, "run_tests", TEST_SITE, module="shop.tests.test_shop")
		expected = {"failing-tests": (3, 1), "broken-import": (0, 0)}.get(release, (3, 0))
		assert (tests["ran"], len(tests["failures"]) + len(tests["errors"])) == expected

	def test_jobs_fail_without_the_app(self, running_bench):
		switch(running_bench, "broken-import")
		query(running_bench, SITE, "INSERT INTO jobs (function) VALUES ('value_stock')")
		wait_until(lambda: not unfinished_jobs(running_bench), "the end of the job")
		((status, result),) = query(running_bench, SITE, "SELECT status, result FROM jobs")
		assert (status, "ModuleNotFoundError" in result) == ("failed", True)


class TestSiteProcess:
	def test_describe(self, practice_bench):
		found = call(practice_bench, "describe", SITE)
		assert found == {"framework": "practice bench", "apps": ["shop"], "scheduler_disabled": False}

	def test_backup_and_restore(self, practice_bench, tmp_path):
		made = call(practice_bench, "backup", SITE, directory=str(tmp_path), with_files=True)
		files = {file["kind"]: Path(file["path"]) for file in made["files"]}
		assert sorted(files) == ["config", "database", "private_files", "public_files"]
		assert {stat.S_IMODE(file.stat().st_mode) for file in files.values()} == {0o600}
		assert gzip.decompress(files["database"].read_bytes()).startswith(b"SQLite format 3")

		query(practice_bench, SITE, "DELETE FROM items")
		query(practice_bench, SITE, "CREATE TABLE more (id INTEGER)")
		kept = tmp_path / "kept.db.gz"
		before = {"database": str(files["database"]), "quarantine": str(kept)}
		assert call(practice_bench, "restore", SITE, **before) == {"tables": TABLES}
		assert query(practice_bench, SITE, "SELECT COUNT(*) FROM items") == [(3,)]
		# And back to what was replaced.
		after = {"database": str(kept), "quarantine": str(tmp_path / "unused.db.gz")}
		assert call(practice_bench, "restore", SITE, **after) == {"tables": TABLES + 1}
		assert query(practice_bench, SITE, "SELECT COUNT(*) FROM items") == [(0,)]

	def test_damaged_backup_is_refused(self, practice_bench, tmp_path):
		dump = tmp_path / "dump.db.gz"
		dump.write_bytes(gzip.compress(b"SQLite format 3\0 and then nothing"))
		with pytest.raises(SiteProcessFailed):
			call(practice_bench, "restore", SITE, database=str(dump), quarantine=str(tmp_path / "kept.db.gz"))
		assert query(practice_bench, SITE, "SELECT COUNT(*) FROM items") == [(3,)]

	@pytest.mark.parametrize("release", ["migrating", "migrating-bad"])
	def test_migrate_once(self, practice_bench, release):
		git(practice_bench, "fetch", "--quiet", "upstream", release)
		git(practice_bench, "checkout", "--quiet", "--detach", "FETCH_HEAD")
		assert [call(practice_bench, "migrate", SITE) for _ in range(2)] == [{}, {}]
		assert query(practice_bench, SITE, "SELECT DISTINCT stock FROM items") == [(0,)]

	def test_check_tests(self, practice_bench):
		def problem(**target):
			return call(practice_bench, "check_tests", TEST_SITE, **target)["problem"]

		assert problem(module="shop.tests.test_shop") is None
		assert problem(app="shop") is None
		assert "can't be imported" in problem(module="shop.tests.test_nothing")
		assert "no DocTypes" in problem(doctype="Item")

	def test_run_tests(self, practice_bench):
		whole = call(practice_bench, "run_tests", TEST_SITE, app="shop", failfast=True, production=False)
		assert (whole["ran"], whole["problem"], whole["failures"], whole["errors"]) == (3, None, [], [])
		nothing = call(practice_bench, "run_tests", TEST_SITE, module="shop.api")
		assert (nothing["ran"], nothing["problem"]) == (0, "no test was found")

	@pytest.mark.parametrize(
		("code", "error"),
		[
			("print(database.execute('SELECT COUNT(*) FROM items').fetchone())", None),
			("database.execute('DELETE FROM items'); database.commit()", None),
			("assert 1 == 2, 'not equal'", "AssertionError: not equal"),
			("raise SystemExit(0)", "SystemExit: 0"),
			("while True:\n\ttry:\n\t\twhile True: pass\n\texcept Exception: pass", "not finished after 1 s"),
			("not Python!", "SyntaxError"),
		],
	)
	def test_console(self, practice_bench, code, error):
		found = call(practice_bench, "console", SITE, code=code, timeout_seconds=1)
		assert found["passed"] == (error is None)
		assert error is None or found["error"].startswith(error)
		assert query(practice_bench, SITE, "SELECT COUNT(*) FROM items") == [(3,)]

	def test_imports(self, practice_bench):
		asked = {"apps": ["shop"], "others": [], "executed": []}
		assert call(practice_bench, "check_imports", SITE, **asked) == {"checked": 3, "failures": []}
		page = practice_bench.places.app / "shop" / "pages.py"
		page.write_text("\nimport module_that_is_not_there\n")
		(failure,) = call(practice_bench, "check_imports", SITE, **asked)["failures"]
		assert (failure["name"], failure["file"], failure["line"]) == (
			"shop.pages",
			"apps/shop/shop/pages.py",
			2,
		)
		assert failure["error"] == "ModuleNotFoundError: No module named 'module_that_is_not_there'"

	def test_a_patch_that_fails_is_named(self, practice_bench):
		package = practice_bench.places.app / "shop"
		(package / "patches").mkdir()
		(package / "patches" / "wrong.sql").write_text("ALTER TABLE nothing ADD COLUMN x")
		(package / "patches.txt").write_text("wrong\n")
		with pytest.raises(
			SiteProcessFailed, match=r"app shop, patch wrong, apps/shop/shop/patches/wrong\.sql"
		):
			call(practice_bench, "migrate", SITE)

	def test_small_tasks(self, practice_bench):
		message = {"recipients": ["a@b", "c@d"], "subject": "It begins", "message": "Now."}
		assert call(practice_bench, "notify", SITE, **message) == {"sent": 2}
		assert "It begins" in (practice_bench.path / "logs" / "notifications.log").read_text()
		assert call(practice_bench, "drain", SITE, run="a-run") == {"jobs": [], "held": True}
		query(practice_bench, SITE, "INSERT INTO jobs (function) VALUES ('value_stock')")
		assert jobs_at(practice_bench) == [("value_stock", "waiting")]
		assert call(practice_bench, "build", SITE, apps=["shop"]) == {}
		assert call(practice_bench, "clear_cache", SITE) == {}
		both = {"run": "another", "sites": [SITE, TEST_SITE], "seconds": 0.2}
		answer = call(practice_bench, "drain", TEST_SITE, **both)
		assert [job["method"] for job in answer["jobs"]] == ["value_stock"] and answer["held"] is False
		assert call(practice_bench, "release_workers", SITE, run="another") == {"released": False}
		assert call(practice_bench, "release_workers", SITE, run="a-run") == {"released": True}
		assert call(practice_bench, "project", SITE, run_path="unused") == {}
		assert call(practice_bench, "project_all", SITE) == {}
		assert call(practice_bench, "repair_tests", SITE) == {"repaired": False}

	def test_one_process_serves_several_sites(self, practice_bench):
		site_processes = SiteProcesses(Bench.open(practice_bench.path), Programs())
		found = site_processes.call_each("describe", [SITE, TEST_SITE], timeout=LIMIT_SECONDS)
		assert list(found) == [SITE, TEST_SITE] and found[SITE]["framework"] == "practice bench"
		with pytest.raises(SiteProcessFailed, match="elsewhere is unknown"):
			site_processes.call_each("describe", [SITE, "elsewhere"], timeout=LIMIT_SECONDS)

	def test_unknown_task_and_site_are_refused(self, practice_bench):
		with pytest.raises(SiteProcessFailed, match="dance is unknown"):
			call(practice_bench, "dance", SITE)
		with pytest.raises(SiteProcessFailed, match="elsewhere is unknown"):
			call(practice_bench, "describe", "elsewhere")


def jobs_at(bench):
	states = {"queued": "waiting", "running": "running"}
	rows = query(bench, SITE, "SELECT function, status FROM jobs ORDER BY id")
	return [(function, states[status]) for function, status in rows if status in states]


def unfinished_jobs(bench):
	return query(bench, SITE, "SELECT status FROM jobs WHERE status IN ('queued', 'running')")


def assert_gone(bench, found):
	assert processes.find_all(bench.places) == []
	assert not any(is_alive(process) for process in found)


def is_alive(process):
	# One that nobody has taken leave of yet is dead all the same.
	return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
