"""Whether the modules of the practice bench's app can be imported. Its patches are SQL, so that there is none of them."""

from __future__ import annotations

from pathlib import Path

from press_deploy.demo import framework

# A run starts many site processes, and `typing` is much of what each of them would import.
TYPE_CHECKING = False
if TYPE_CHECKING:
	from typing import Any

APP = "shop"


def check_imports(
	site: str, apps: list[str], others: list[str], executed: list[str] | None = None
) -> dict[str, Any]:
	"""Import the app's modules, and say what failed."""
	modules = [f"{APP}.{name}" for name in ("api", "pages", "jobs")] if APP in apps else []
	failures = [failure for module in modules if (failure := _try_import(module))]
	return {"checked": len(modules), "failures": failures}


def _try_import(module: str) -> dict[str, Any] | None:
	"""Why a module can't be imported, as the task inside Frappe says it; None when it can."""
	try:
		framework.import_app(module)
		return None
	except (Exception, SystemExit) as error:
		# Here, because most processes have no use for it.
		import traceback

		apps = framework.bench_directory() / "apps"
		frames = [
			each for each in traceback.extract_tb(error.__traceback__) if each.filename.startswith(f"{apps}/")
		]
		file, line = (frames[-1].filename, frames[-1].lineno) if frames else (str(apps / APP), None)
		place = {"file": str(Path(file).relative_to(apps.parent)), "line": line}
		return {
			"kind": "module",
			"name": module,
			"app": APP,
			**place,
			"error": f"{type(error).__name__}: {error}",
		}
