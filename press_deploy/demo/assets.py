"""The assets of the practice bench: each bundle copied to a name with its hash in it, and listed, as Frappe does."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from press_deploy.demo import framework
from press_deploy.engine.ground import durable


def build(site: str, apps: list[str]) -> dict[str, Any]:
	"""Build the bundles of these apps, as a task of the site process."""
	build_bundles(framework.bench_directory(), apps)
	return {}


def build_bundles(bench: Path, apps: Iterable[str]) -> None:
	"""Build the bundles of these apps; those of before go."""
	listed = bench / "sites" / "assets" / "assets.json"
	names = json.loads(listed.read_text()) if listed.exists() else {}
	for app in apps:
		public = bench / "apps" / app / app / "public"
		shutil.rmtree(public / "dist", ignore_errors=True)
		for source in sorted(public.glob("*.bundle.js")):
			name = f"{source.stem}.{hashlib.sha256(source.read_bytes()).hexdigest()[:8].upper()}.js"
			(public / "dist" / "js").mkdir(parents=True, exist_ok=True)
			shutil.copyfile(source, public / "dist" / "js" / name)
			names[source.name] = f"/assets/{app}/dist/js/{name}"
	listed.parent.mkdir(exist_ok=True)
	durable.write_json(listed, names, 0o644)
