"""What a home holds: this engine, and the distributions that it imports, as they are installed here."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from press_deploy.engine.ground.errors import Refused

OWN = "press_deploy"
# All else of this app is Frappe's side of it, or the demonstration.
PARTS = ("__init__.py", "engine", "cli", "helper")
COMPILED = "__pycache__"
# As it is typed in the directory of the bench.
PIP = "env/bin/python -m pip install"


def list_installed() -> dict[str, Path]:
	"""Where each file of a home is now, by the name that it has there. Raises `Refused`."""
	files = dict(_list_own())
	for distribution in find_distributions(OWN):
		if distribution.files is None:
			raise Refused(
				"Making a home for press_deploy of",
				distribution.name,
				"nobody knows which files it has, as it was not installed by pip or uv",
				f"install it anew: {PIP} --ignore-installed --no-deps {distribution.name}=={distribution.version}",
			)
		for file in distribution.files:
			# Scripts lie outside of where modules are.
			if ".." not in file.parts and COMPILED not in file.parts and not file.is_absolute():
				files[str(file)] = Path(str(file.locate()))
	return {name: path for name, path in files.items() if path.is_file()}


def find_distributions(name: str) -> list[metadata.Distribution]:
	"""All that a distribution asks for, directly or not, without itself. Raises `Refused`."""
	wanted, found = [name], {}
	while wanted:
		asked = canonicalize_name(wanted.pop())
		if asked in found:
			continue
		try:
			found[asked] = metadata.distribution(asked)
		except metadata.PackageNotFoundError:
			raise Refused(
				"Making a home for press_deploy of",
				asked,
				"it is not installed in the environment",
				f"install what press_deploy asks for: {PIP} --editable apps/press_deploy",
			) from None
		try:
			requirements = [Requirement(line) for line in found[asked].requires or []]
		except InvalidRequirement as error:
			remedy = f"install it anew: {PIP} --ignore-installed --no-deps {asked}=={found[asked].version}"
			raise Refused("Reading what is asked for by", asked, str(error), remedy) from None
		wanted += [
			each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})
		]
	del found[canonicalize_name(name)]
	return list(found.values())


def _list_own() -> list[tuple[str, Path]]:
	# It is installed from its repository, so that no list of its files exists.
	package = Path(__file__).parents[2]
	found = []
	for part in PARTS:
		place = package / part
		files = (
			[place] if place.is_file() else [file for file in place.rglob("*") if COMPILED not in file.parts]
		)
		found += [(f"{OWN}/{file.relative_to(package)}", file) for file in files if file.is_file()]
	return found
