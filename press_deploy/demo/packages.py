"""The Python packages of the practice bench: tiny wheels in a directory, from which alone its pip installs.

Invariant: the bench's environment has what the installed release asks for, as pip would have put it there, and never
asks a network.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

from press_deploy.demo.places import Places
from press_deploy.demo.shop_source import LABELS, UNITS

_OFFERED = ((UNITS, "1.0"), (UNITS, "2.0"), (LABELS, "1.0"))
_WHEEL = "Wheel-Version: 1.0\nGenerator: practice bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def install(places: Places) -> None:
	"""Offer the packages, and install the app with what it asks for, as `bench get-app` does.

	Written by hand, because pip takes seconds for it, and benches are built for many tests.
	"""
	offered = places.directory / "packages"
	offered.mkdir()
	for name, version in _OFFERED:
		with zipfile.ZipFile(offered / f"{_normal(name)}-{version}-py3-none-any.whl", "w") as wheel:
			for file, content in _describe(name, version).items():
				wheel.writestr(file, content)
	(own,) = (places.bench / "env").glob("lib/python*/site-packages")
	_point_pip_to(offered, own)
	_unpack(_describe(UNITS, "1.0"), own)
	editable = {"url": places.app.as_uri(), "dir_info": {"editable": True}}
	shop = _describe("shop", "1.0.0", asks_for=f"{UNITS}==1.0", code={"shop.pth": f"{places.app}\n"})
	_unpack({**shop, "shop-1.0.0.dist-info/direct_url.json": json.dumps(editable)}, own)


def _point_pip_to(directory: Path, site_packages: Path) -> None:
	"""For every start of this Python: what the user has configured for pip, in variables too, is not for this bench."""
	settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(directory)}
	line = f"import os; os.environ.update({settings!r}); os.environ.pop('PIP_CONSTRAINT', None)\n"
	(site_packages / "practice_packages.pth").write_text(line)


def _describe(
	name: str, version: str, asks_for: str | None = None, code: dict[str, str] | None = None
) -> dict[str, str]:
	"""The files of a wheel."""
	normal = _normal(name)
	about = f"{normal}-{version}.dist-info"
	asked = f"Requires-Dist: {asks_for}\n" if asks_for else ""
	files = code or {f"{normal}.py": f'__version__ = "{version}"\n'}
	files = {
		**files,
		f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{asked}",
		f"{about}/WHEEL": _WHEEL,
	}
	return {**files, f"{about}/RECORD": "".join(f"{file},,\n" for file in [*files, f"{about}/RECORD"])}


def _unpack(files: dict[str, str], site_packages: Path) -> None:
	for file, content in files.items():
		(site_packages / file).parent.mkdir(exist_ok=True)
		(site_packages / file).write_text(content)


def _normal(name: str) -> str:
	return name.replace("-", "_")
