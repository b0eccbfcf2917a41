"""A helper for a bench whose services run as the bench's own user: no root, no installation.

Invariant: everything it writes is inside that bench.
"""

from __future__ import annotations

import os

from . import configuration, installed_files


def write_practice_configuration(bench_path: str, entry: dict, name: str | None = None) -> str:
	"""Write the configuration of a bench's own helper; return its path. Raises HelperError.

	`entry` is what `discover` returns. Start it with `python -m press_deploy.helper --config PATH`; clients
	find it through `<bench>/config/press_deploy.json`.
	"""
	bench_path = os.path.abspath(bench_path)
	config = os.path.join(bench_path, "config")
	socket = os.path.join(config, "press_deploy.sock")
	name = name or os.path.basename(bench_path)
	data = {
		"version": configuration.VERSION,
		"socket": socket,
		"state": os.path.join(config, "press_deploy_state"),
		"audit_log": os.path.join(bench_path, "logs", "press_deploy.helper.log"),
		"benches": {name: entry},
	}
	configuration.parse(data)
	path = os.path.join(config, "press_deploy_helper.json")
	installed_files.write(path, configuration.dump(data), 0o600)
	hint = configuration.dump({"helper_socket": socket, "helper_bench": name})
	installed_files.write(os.path.join(config, "press_deploy.json"), hint, 0o644)
	return path
