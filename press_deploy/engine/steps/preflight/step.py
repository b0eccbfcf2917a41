"""Preflight: every check is made and journaled, then the run goes on or is refused as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from press_deploy.engine.ground.errors import Refused
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.preflight import CHECKS, FAILED, OK, WARNING, Check

if TYPE_CHECKING:
	from press_deploy.engine.steps.context import Context


class Preflight(Step):
	name, title, phase = "preflight", "Preflight", Phase.PREFLIGHT

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		checks = [check for find in CHECKS for check in self._look(context, find)]
		for check in checks:
			context.journal.append("check", check.as_data())
			context.log(f"{check.outcome:8} {check.name}: {check.found}")
		if context.resolved:
			context.journal.append("targets-resolved", {"targets": context.resolved})
		failed = [check for check in checks if check.outcome == FAILED]
		if failed:
			first = failed[0]
			more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
			raise Refused(
				"Preflight of", context.spec.title, f"{first.name}: {first.found}{more}", first.remedy
			)
		counts = {outcome: sum(check.outcome == outcome for check in checks) for outcome in (OK, WARNING)}
		found = f"{counts[OK]} checks in order, {counts[WARNING]} warning(s)"
		return {"found": found, **counts, "without_standby": sorted(context.without_standby)}

	def _look(self, context: Context, find: Any) -> list[Check]:
		try:
			return list(find(context))
		except Exception as error:
			# A check that crashed has found nothing out; unknown is not GO.
			context.log_exception()
			name = find.__name__.removeprefix("check_").replace("_", " ").capitalize()
			return [
				Check(
					name,
					FAILED,
					f"the check itself failed: {type(error).__name__}: {error}",
					f"report this, with the traceback in {context.run.step_log(self.name)}",
				)
			]
