"""The bench's Python with Frappe loaded: every piece of code runs in a fork of it, as new as a process of its own."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

# Loading Frappe takes most of the time of a short script, and processor time is what the suite lacks.
_PROGRAM = """
import json, os, sys, traceback
import frappe

for line in sys.stdin:
	site, code = json.loads(line)
	if not (child := os.fork()):
		status = 1
		try:
			frappe.init(site)
			frappe.connect()
			scope = {"frappe": frappe, "json": json, "result": None}
			exec(code, scope)
			frappe.db.commit()
			print("RESULT", json.dumps(scope["result"], default=str))
			frappe.destroy()
			status = 0
		except BaseException:
			traceback.print_exc(file=sys.stdout)
		finally:
			sys.stdout.flush()
			os._exit(status)
	print("ENDED", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@cache
def _start(bench: Path) -> subprocess.Popen:
	"""One for the whole suite; it ends with its standard input."""
	return subprocess.Popen(
		[bench / "env" / "bin" / "python", "-W", "ignore", "-c", _PROGRAM],
		cwd=bench / "sites",
		stdin=subprocess.PIPE,
		stdout=subprocess.PIPE,
		stderr=subprocess.STDOUT,
		text=True,
	)


def execute(bench: Path, site: str, code: str) -> Any:
	"""Run Python in a site, commit, and return what it assigned to `result`."""
	process = _start(bench)
	process.stdin.write(json.dumps([site, code]) + "\n")
	process.stdin.flush()
	said = []
	while not (line := process.stdout.readline()).startswith("ENDED "):
		assert line, f"the interpreter is gone: {''.join(said)}"
		said.append(line)
	assert line == "ENDED 0\n", "".join(said)
	return json.loads("".join(said).rpartition("RESULT ")[2])
