"""A console check leaves nothing behind, whatever it tries."""

import pytest

INSERT = "frappe.get_doc(dict(doctype='ToDo', description='press_deploy site test')).insert()\n"
TRIES = {
	"plain": INSERT,
	"commits": INSERT + "frappe.db.commit()",
	"commits by SQL": INSERT + "frappe.db.sql('commit')",
	"commits behind a comment": INSERT + "frappe.db.sql('/* harmless */ COMMIT')",
	"commits each query": INSERT + "frappe.db.sql('select 1', auto_commit=1)",
	"begins another transaction": INSERT + "frappe.db.begin()",
	"alters a table": INSERT + "frappe.db.sql_ddl('CREATE TABLE press_deploy_later (a int)')",
	"alters it by SQL": INSERT + "frappe.db.sql('CREATE TABLE press_deploy_later (a int)')",
	"turns autocommit on": "frappe.db.sql('SET autocommit = 1')\n" + INSERT,
	"connects anew": "frappe.connect()\n" + INSERT + "frappe.db.commit()",
	"ends the process": INSERT + "import sys\nsys.exit(0)",
	"raises": INSERT + "raise KeyboardInterrupt",
	"hangs": INSERT + "import time\ntime.sleep(60)",
	"hangs and swallows": INSERT
	+ "import time\nfor _ in range(60):\n\ttry:\n\t\ttime.sleep(1)\n\texcept Exception:\n\t\tpass",
	"closes": INSERT + "frappe.db.close()",
	"rolls back by SQL": "frappe.db.sql('rollback')\n" + INSERT,
	"rolls back": INSERT + "frappe.db.rollback()\n" + INSERT,
}
MAY_PASS = {"plain", "rolls back", "rolls back by SQL", "closes"}


@pytest.mark.parametrize("name", TRIES)
def test_nothing_stays(site, todo, name):
	if site.is_sqlite and name == "turns autocommit on":
		pytest.skip("SQLite knows no such setting")
	# What hangs is ended by this; nothing else takes near as long.
	limit = 2 if name.startswith("hangs") else 60
	outcome = site.call("console", code=TRIES[name], timeout_seconds=limit)
	# In SQLite a transaction within a transaction is none, and commits nothing.
	may_pass = name in MAY_PASS or (site.is_sqlite and name == "begins another transaction")
	assert outcome["passed"] is may_pass, outcome
	assert (outcome["error"] is None) is outcome["passed"]
	assert todo.count() == 0
	assert "press_deploy_later" not in site.execute("result = frappe.db.get_tables(cached=False)")


@pytest.mark.parametrize("how", ["enqueue_after_commit=True", "now=False", "queue='long'"])
def test_no_job_is_queued(site, how):
	code = f"frappe.enqueue('frappe.utils.background_jobs.test_job', s=0, {how})"
	count = "from frappe.utils.background_jobs import get_queues\nresult = sum(q.count for q in get_queues())"
	before = site.execute(count)
	assert site.call("console", code=code)["passed"]
	assert site.execute(count) <= before


def test_no_mail_is_sent(site):
	code = "frappe.sendmail(recipients=['a@example.com'], subject='x', message='y')\nassert frappe.flags.mute_emails"
	count = "result = frappe.db.count('Email Queue')"
	before = site.execute(count)
	site.call("console", code=code)
	assert site.execute(count) == before


@pytest.mark.parametrize(
	("code", "error"),
	[
		("x = 1\nassert x == 2", "AssertionError (line 2: assert x == 2)"),
		("x =", "SyntaxError: invalid syntax"),
		("raise ValueError('no')", "ValueError: no (line 1"),
		("import sys\nsys.exit(3)", "it called sys.exit(3)"),
		("import time\ntime.sleep(9)", "not finished after 1 s"),
		("import nonsense_module", "ModuleNotFoundError"),
	],
)
def test_an_error_says_where(site, code, error):
	outcome = site.call("console", code=code, timeout_seconds=1)
	assert not outcome["passed"]
	assert error in outcome["error"]


def test_what_is_printed_comes_back(site):
	code = "print('seen', frappe.local.site)\ndef double(x):\n\treturn x * y\ny = 2\nprint([double(n) for n in (1, 2)])"
	assert site.call("console", code=code)["output"] == f"seen {site.name}\n[2, 4]\n"
