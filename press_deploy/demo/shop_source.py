"""The source text of the app `shop`, version 1.0.0, file by file."""

API = '''"""What other programs may ask of the shop."""

import time

# About what a small site takes.
ANSWER_SECONDS = 0.02


def ping():
	time.sleep(ANSWER_SECONDS)
	return "pong"
'''

PAGES = '''"""What people see of the shop."""

import logging
from html import escape

import shop


def home(database):
	rows = database.execute("SELECT name, price FROM items ORDER BY name")
	items = "".join(f"<li>{escape(name)}: {price:.2f}</li>" for name, price in rows)
	logging.getLogger("shop").debug("the home page was shown")
	return f"<!doctype html><title>Shop</title><h1>Shop {shop.__version__}</h1><ul>{items}</ul>"
'''

JOBS = '''"""What the shop's worker does. Each job takes the site's database and its own arguments."""

import time


def total(prices):
	return round(sum(prices), 2)


def value_stock(database):
	return total(price for (price,) in database.execute("SELECT price FROM items"))


def pack(database, seconds):
	time.sleep(seconds)
	return seconds
'''

VISITS = '''"""Counts visits, or would if it were not broken: the visitor notices nothing, the log does."""

import logging


def count():
	try:
		{}["visits"] += 1
	except KeyError:
		logging.getLogger("shop").exception("the visit could not be counted")
'''

TESTS = '''"""The critical tests of the shop."""

import sqlite3
import unittest

from shop import api, jobs, pages


class TestShop(unittest.TestCase):
	def test_ping(self):
		self.assertEqual(api.ping(), "pong")

	def test_home_names_every_item(self):
		database = sqlite3.connect(":memory:")
		self.addCleanup(database.close)
		database.execute("CREATE TABLE items (name, price)")
		database.execute("INSERT INTO items VALUES ('Fish & chips', 7.5)")
		self.assertIn("Fish &amp; chips: 7.50", pages.home(database))

	def test_total_keeps_cents(self):
		self.assertEqual(jobs.total([1.10, 2.25]), 3.35)
'''

# Small packages that the bench's own Python finds beside it, so that nothing comes from a network.
UNITS, LABELS = "shop-units", "shop-labels"

PYPROJECT = """[build-system]
requires = []
build-backend = "build_shop"
backend-path = ["."]

[project]
name = "shop"
version = "1.0.0"
dependencies = [{}]
"""

# So that `pip install --editable` works where there is no network to fetch a build system from.
BUILD = '''"""Builds the wheel of an editable install, with nothing but Python."""

import re
import zipfile
from pathlib import Path

WHEEL = "Wheel-Version: 1.0\\nGenerator: build_shop\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"


def describe():
	asked = re.findall(r\'"(shop-[^"]+)"\', Path("pyproject.toml").read_text())
	lines = ["Metadata-Version: 2.1", "Name: shop", "Version: 1.0.0", *(f"Requires-Dist: {each}" for each in asked)]
	return "\\n".join(lines) + "\\n"


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
	name, about = "shop-1.0.0-py3-none-any.whl", "shop-1.0.0.dist-info"
	files = {"shop.pth": f"{Path.cwd()}\\n", f"{about}/METADATA": describe(), f"{about}/WHEEL": WHEEL}
	record = "".join(f"{file},,\\n" for file in [*files, f"{about}/RECORD"])
	with zipfile.ZipFile(Path(wheel_directory, name), "w") as wheel:
		for file, content in {**files, f"{about}/RECORD": record}.items():
			wheel.writestr(file, content)
	return name
'''

BUNDLE = 'console.log("Welcome to the shop.");\n'

# As `bench` has it: a DocType is known by this file, whatever the database says.
NOTE = """{
 "doctype": "DocType",
 "module": "Shop",
 "name": "Note"
}
"""


def require(*packages: str) -> str:
	"""The pyproject.toml of a release that asks for these."""
	return PYPROJECT.format(", ".join(f'"{each}"' for each in packages))


INSTALLED_FILES = {
	".gitignore": "__pycache__/\nshop/public/dist/\n",
	"README.md": "# Shop\n\nThe app of the practice bench.\n",
	"pyproject.toml": require(f"{UNITS}==1.0"),
	"build_shop.py": BUILD,
	"shop/api.py": API,
	"shop/pages.py": PAGES,
	"shop/jobs.py": JOBS,
	"shop/modules.txt": "Shop\n",
	"shop/patches.txt": "",
	"shop/public/shop.bundle.js": BUNDLE,
	"shop/shop/doctype/note/note.json": NOTE,
	"shop/tests/__init__.py": "",
	"shop/tests/test_shop.py": TESTS,
}
