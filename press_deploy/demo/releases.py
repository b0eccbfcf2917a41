"""The app `shop` and its releases: what each of them changes, as text, and as a git origin.

Invariant: author and dates are constants, so the same text gives the same commits on every machine.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from press_deploy.demo.shop_source import (
	API,
	BUNDLE,
	INSTALLED_FILES,
	JOBS,
	LABELS,
	PAGES,
	UNITS,
	VISITS,
	require,
)

INSTALLED = "v1"
BRANCH = "main"

_BROKEN_TOTAL = JOBS.replace("round(sum(prices), 2)", "int(sum(prices))")
# Its tests know no name with a comma; the shop sells "Rope, 10 m".
_BROKEN_HOME = (
	PAGES.replace("escape(name)", "escape(_shorten(name))")
	+ """

def _shorten(name):
	(first,) = name.split(",")
	return first
"""
)
_SLOW_PING = API.replace("ANSWER_SECONDS = 0.02", "ANSWER_SECONDS = 0.72")
_BROKEN_IMPORT = "from shop.prices import current_prices\n\n"
_NOISY_HOME = PAGES.replace("import shop\n", "import shop\nfrom shop import visits\n").replace(
	"\trows = ", "\tvisits.count()\n\trows = "
)
_NOISY_API = API.replace("import time\n", "import time\n\nfrom shop import visits\n").replace(
	"\ttime.sleep", "\tvisits.count()\n\ttime.sleep"
)
_NOISY = {"shop/visits.py": VISITS, "shop/pages.py": _NOISY_HOME, "shop/api.py": _NOISY_API}
_STOCK = {
	"shop/patches.txt": "add_stock\n",
	"shop/patches/add_stock.sql": "ALTER TABLE items ADD COLUMN stock INTEGER NOT NULL DEFAULT 0;\n",
}
# Another version of one package, and a package more; other assets.
_EQUIPPED = {
	"pyproject.toml": require(f"{UNITS}==2.0", f"{LABELS}==1.0"),
	"shop/public/shop.bundle.js": BUNDLE.replace("Welcome", "Welcome back"),
}
_WITHOUT_NOTE = {
	"shop/patches.txt": "forget_note\n",
	"shop/patches/forget_note.sql": "DELETE FROM `tabDocType` WHERE name = 'Note';\n",
}


def _version(number: str) -> dict[str, str]:
	return {"shop/__init__.py": f'"""A small shop."""\n\n__version__ = "{number}"\n'}


# What each release changes against `v1`.
CHANGES: dict[str, dict[str, str]] = {
	"good": _version("2.0.0"),
	"failing-tests": {**_version("2.0.1"), "shop/jobs.py": _BROKEN_TOTAL},
	"http-errors": {**_version("2.0.2"), "shop/pages.py": _BROKEN_HOME},
	"slow": {**_version("2.0.3"), "shop/api.py": _SLOW_PING},
	"broken-import": {"shop/__init__.py": _BROKEN_IMPORT + _version("2.0.4")["shop/__init__.py"]},
	"log-errors": {**_version("2.0.5"), **_NOISY},
	"migrating": {**_version("2.1.0"), **_STOCK},
	"migrating-bad": {**_version("2.1.1"), **_STOCK, "shop/pages.py": _BROKEN_HOME},
	"equipped": {**_version("2.2.0"), **_EQUIPPED},
	"equipped-bad": {**_version("2.2.1"), **_EQUIPPED, "shop/pages.py": _BROKEN_HOME},
	# It deletes what its own code still defines.
	"destructive": {**_version("2.3.0"), **_WITHOUT_NOTE},
}
VERSIONS = {INSTALLED: "1.0.0", "good": "2.0.0", "migrating": "2.1.0", "equipped": "2.2.0"}
RELEASES = (INSTALLED, *CHANGES)
# What the command line offers: the others need a look at the database to be told apart.
DEMONSTRATED = ("good", "failing-tests", "http-errors", "slow", "broken-import", "log-errors")


def make_origin(repository: Path) -> None:
	"""Make a bare repository with `main`, the tag `v1` and a branch for every other release."""
	_git("init", "--quiet", "--bare", "--template=", f"--initial-branch={BRANCH}", str(repository))
	stream = [_commit(BRANCH, "Shop 1.0.0", {**_version("1.0.0"), **INSTALLED_FILES})]
	stream.append(f"reset refs/tags/{INSTALLED}\nfrom refs/heads/{BRANCH}\n\n")
	stream += [_commit(name, f"Release {name}", files, parent=BRANCH) for name, files in CHANGES.items()]
	_git("-C", str(repository), "fast-import", "--quiet", stdin="".join(stream))


def clone(repository: Path, target: Path) -> None:
	"""Make the app's directory on the bench, with the remote named as `bench get-app` names it."""
	_git(
		*("clone", "--quiet", "--template=", "--origin", "upstream", "--branch", BRANCH),
		*(str(repository), str(target)),
	)


def find_commit(repository: Path, release: str) -> str:
	"""The full SHA of a release at the origin."""
	return _git("-C", str(repository), "rev-parse", "--verify", f"{release}^{{commit}}").strip()


def _commit(branch: str, message: str, files: dict[str, str], parent: str | None = None) -> str:
	"""One commit in the language of `git fast-import`."""
	person = "Shop Developer <developer@shop.localhost> 1735689600 +0000"
	lines = [f"commit refs/heads/{branch}\n", f"author {person}\ncommitter {person}\n", _data(message)]
	if parent:
		lines.append(f"from refs/heads/{parent}\n")
	for path, content in files.items():
		lines.append(f"M 100644 inline {path}\n{_data(content)}")
	return "".join([*lines, "\n"])


def _data(text: str) -> str:
	return f"data {len(text.encode())}\n{text}\n"


def _git(*arguments: str, stdin: str = "") -> str:
	"""Run git, unmoved by what the user has configured."""
	unconfigured = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C.UTF-8"}
	foreign = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_DEFAULT_HASH")
	environment = {name: value for name, value in os.environ.items() if name not in foreign}
	return subprocess.run(
		["git", *arguments],
		input=stdin,
		env={**environment, **unconfigured},
		check=True,
		stdout=subprocess.PIPE,
		text=True,
	).stdout
