"""What a release changes, and what therefore has to be done: requirements, asset build, migrate.

Invariant: every decision comes with its reason, and `auto` over an unknown difference means yes.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from press_deploy.engine.plan.spec import PlanSpec

_REQUIREMENTS = re.compile(r"(^|/)(pyproject\.toml|setup\.(py|cfg)|requirements[^/]*(/[^/]+)?\.txt)$")
_BUILD = re.compile(
	r"(^|/)(public/|frontend/|dashboard/|esbuild/|package(-lock)?\.json$|yarn\.lock$|pnpm-lock\.yaml$)"
	r"|\.(vue|tsx?|jsx|s[ac]ss|less)$|\.bundle\.\w+$"
)
_MIGRATE = re.compile(
	r"(^|/)(patches\.txt|patches/|fixtures/|hooks\.py$|customize?/|[^/]+/doctype/[^/]+/[^/]+\.json$)|\.json$"
)


@dataclass(frozen=True)
class Decision:
	needed: bool
	why: str

	def as_data(self) -> dict[str, Any]:
		return asdict(self)


def decide(spec: PlanSpec, changed: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
	"""For each of requirements, build and migrate: whether, and why; from {app: changed files}."""
	wanted = (
		("requirements", spec.requirements, _REQUIREMENTS),
		("build", spec.build, _BUILD),
		("migrate", spec.migrate, _MIGRATE),
	)
	return {name: _decide(when, pattern, changed).as_data() for name, when, pattern in wanted}


def _decide(when: str, pattern: re.Pattern, changed: dict[str, list[str]]) -> Decision:
	if when != "auto":
		return Decision(when == "always", f"the plan says {when}")
	for app, files in changed.items():
		for file in files:
			if pattern.search(file):
				return Decision(True, f"{app}: {file} differs")
	count = sum(len(files) for files in changed.values())
	return Decision(False, f"none of the {count} changed files asks for it")
