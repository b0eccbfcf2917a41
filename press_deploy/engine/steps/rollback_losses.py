"""What users would lose, and have lost, when a database goes back: shown, approved, exported.

Invariant: data that users may have written since the backup leaves the live database only after a person
approved exactly the list of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from press_deploy.engine.databases.standby.base import StandbyDatabase
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.journal.state import Phase
from press_deploy.engine.steps.approval import had_jobs_at_work, require_approval
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.databases import Databases
from press_deploy.engine.steps.interrupts import WaitForPerson
from press_deploy.engine.steps.run import Run
from press_deploy.engine.steps.standby_of_run import (
	can_be_made_again,
	is_listable,
	make_again,
)
from press_deploy.engine.steps.unread_losses import choose_listed

if TYPE_CHECKING:
	pass


@dataclass(eq=False)
class LostDocuments(Step):
	"""Where users may have worked since the backup: a person approves what would be lost, behind closed doors."""

	databases: Databases

	name, title, phase = "lost-documents", "What would be lost", Phase.ROLLBACK

	def skip_reason(self, run: Run) -> str | None:
		if not run.state.rolls_database_back:
			return "the database stays as it is"
		state = run.state
		# While a run was left to people, one of them may have opened the sites by hand.
		if state.was_opened or state.was_left or had_jobs_at_work(state):
			return None
		if not run.spec.backup.automatic_rollback:
			return None
		return "nobody could write since the final backup, and the plan lets the database go back by itself"

	def apply(self, run: Run, before: dict[str, Any]) -> dict[str, Any]:
		waiting = self._choose_listed(run)
		if not waiting:
			if run.state.rollback["by"] is None and not run.spec.backup.automatic_rollback:
				reason = "the plan lets no database go back by itself, and what would be lost can't be listed"
				raise WaitForPerson(reason, when_nobody_decides="wait", accepts_go=False)
			return {"found": "nothing is to be compared"}
		return require_approval(run, waiting)

	def observe(self, run: Run, before: dict[str, Any], result: dict[str, Any] | None) -> Observation:
		return Observation(result is not None, (result or {}).get("found", "to be listed again"))

	def _choose_listed(self, run: Run) -> dict[str, StandbyDatabase | None]:
		waiting = choose_listed(run.state, self.databases.standbys)
		if run.state.was_opened:
			return waiting
		for site in [site for site, standby in waiting.items() if not is_listable(standby)]:
			if can_be_made_again(run, self.databases.standbys[site]):
				make_again(run, self.databases.standbys[site])
				continue
			# The run opened nothing; it must not stay closed for want of a list that is only a precaution.
			run.note(
				f"Without a standby database nobody can say what was written on {site} since the final backup; "
				"what is replaced is kept"
			)
			del waiting[site]
		return waiting
