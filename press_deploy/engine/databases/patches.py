"""The patches of the apps on a bench, compared with what a site's Patch Log says.

Invariant: patches.txt is read as Frappe reads it, sections and the oldest form alike.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterable

from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.databases import inventory

_SECTIONS = ("pre_model_sync", "post_model_sync")


def list_pending(bench: Bench, site: str, apps: Iterable[str]) -> list[str]:
	"""The patches of these apps that have not run on a site, as far as the apps are installed there.

	Raises `StepFailed`.
	"""
	executed, installed = inventory.list_executed_patches(bench, site), inventory.list_apps(bench, site)
	return [
		patch
		for app in apps
		if installed is None or app in installed
		for patch in list_patches(bench, app)
		if patch.removeprefix("finally:") not in executed
	]


def list_patches(bench: Bench, app: str) -> list[str]:
	"""The lines of an app's patches.txt, in the order in which Frappe runs them."""
	try:
		text = (bench.app(app) / app / "patches.txt").read_text()
	except FileNotFoundError:
		return []
	parser = configparser.ConfigParser(allow_no_value=True, delimiters="\n")
	parser.optionxform = str
	try:
		parser.read_string(text)
	except configparser.MissingSectionHeaderError:
		return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
	return [patch for section in _SECTIONS if section in parser for patch in parser[section]]
