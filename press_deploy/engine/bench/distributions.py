"""What a bench's environment has of what its apps ask for.

Executed there, as a file: `<bench>/env/bin/python -I distributions.py ASKED APP_DIRECTORY …` prints {"apps": {name:
version}, "checked": how many requirements, "unsatisfied": {"app package": sentence}}. ASKED is `code` for what the
directories ask for now, `installed` for what the apps asked for when they were installed.

Invariant: it only looks, asks no network, and needs nothing but Python and pip, which every environment of a bench has.
"""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path

CODE, INSTALLED = "code", "installed"


def look(asked_by: str, directories: list[Path]) -> dict:
	apps, unsatisfied, checked = {}, {}, 0
	for directory in directories:
		project = read_project(directory)
		name = project.get("name") or directory.name
		try:
			distribution = metadata.distribution(name)
		except metadata.PackageNotFoundError:
			unsatisfied[f"{name} {name}"] = f"{name} is not installed"
			continue
		apps[name] = distribution.version
		if (elsewhere := find_elsewhere(distribution, directory)) is not None:
			unsatisfied[f"{name} {name}"] = f"{name} is installed from {elsewhere}"
		installed = distribution.requires or []
		asked = project.get("dependencies", installed) if asked_by == CODE else installed
		checked += len(asked)
		for line in asked:
			package, why = examine(line)
			if why:
				unsatisfied[f"{name} {package}"] = f"{name} asks for {line}, {why}"
	return {"apps": apps, "checked": checked, "unsatisfied": unsatisfied}


def read_project(directory: Path) -> dict:
	"""The `[project]` of a pyproject.toml; empty where there is none."""
	try:
		import tomllib
	except ModuleNotFoundError:  # Python 3.10
		from pip._vendor import tomli as tomllib
	try:
		return tomllib.loads((directory / "pyproject.toml").read_text()).get("project", {})
	except FileNotFoundError:
		return {}


def find_elsewhere(distribution: metadata.Distribution, directory: Path) -> str | None:
	"""Where a distribution was installed from, if that is another directory than this one."""
	text = distribution.read_text("direct_url.json")
	url = json.loads(text).get("url", "") if text else ""
	path = url.removeprefix("file://")
	return None if not path or Path(path).resolve() == directory.resolve() else url


def examine(line: str) -> tuple[str, str | None]:
	"""The package that a requirement names, and why it is not satisfied; None when it is, or is for another system."""
	from pip._vendor.packaging.requirements import Requirement

	requirement = Requirement(line)
	name = requirement.name.lower().replace("_", "-")
	if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
		return name, None
	try:
		version = metadata.version(requirement.name)
	except metadata.PackageNotFoundError:
		return name, "which is not installed"
	if requirement.url or requirement.specifier.contains(version, prereleases=True):
		return name, None
	return name, f"there is {version}"


if __name__ == "__main__":
	print(json.dumps(look(sys.argv[1], [Path(each) for each in sys.argv[2:]])))
