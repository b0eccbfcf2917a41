"""Preflight: every check is made and journaled, then the run goes on or is refused as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import NOTHING, Step
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.preflight import CHECKS, FAILED, OK, WARNING, Check
from press_deploy.engine.steps.preflight.backups import WithoutStandby
from press_deploy.engine.steps.preflight.code import Resolved
from press_deploy.engine.steps.run import Run


@dataclass(eq=False)
class Preflight(Step):
	ports: Ports

	name, title, phase = "preflight", "Preflight", Phase.PREFLIGHT
	undone_by = NOTHING

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		checks = [check for find in CHECKS for check in self._look(run, find)]
		for check in checks:
			run.journal.append("check", check.as_data())
			run.log(f"{check.outcome:8} {check.name}: {check.found}")
		resolved = {check.app: check.commit for check in checks if isinstance(check, Resolved)}
		if resolved:
			run.journal.append("targets-resolved", {"targets": resolved})
		failed = [check for check in checks if check.outcome == FAILED]
		if failed:
			first = failed[0]
			more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
			raise Refused("Preflight of", run.spec.title, f"{first.name}: {first.found}{more}", first.remedy)
		without = {check.site for check in checks if isinstance(check, WithoutStandby)}
		counts = {outcome: sum(check.outcome == outcome for check in checks) for outcome in (OK, WARNING)}
		found = f"{counts[OK]} checks in order, {counts[WARNING]} warning(s)"
		return {"found": found, **counts, "without_standby": sorted(without)}

	def _look(self, run: Run, find: Any) -> list[Check]:
		try:
			return list(find(run, self.ports))
		except Exception as error:
			# A check that crashed has found nothing out; unknown is not GO.
			run.log_exception()
			name = find.__name__.removeprefix("check_").replace("_", " ").capitalize()
			return [
				Check(
					name,
					FAILED,
					f"the check itself failed: {type(error).__name__}: {error}",
					f"report this, with the traceback in {run.directory.step_log(self.name)}",
				)
			]
