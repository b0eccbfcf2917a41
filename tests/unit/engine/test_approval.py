"""A list of what would be lost is shown for the rollback that asks, however often the same one was shown before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from press_deploy.engine.journal.journal import Record
from press_deploy.engine.journal.state import RunState
from press_deploy.engine.steps import approval
from press_deploy.engine.steps.interrupts import WaitForPerson

LISTED = {
	"sha256": "a" * 64,
	"total": 1,
	"lines": ["1 Note created: n"],
	"summary": "1 Note created",
	"sites": {},
}


class Journal:
	"""What is appended is folded into the state, as the runner's journal does it."""

	def __init__(self, state: RunState):
		self.state, self.appended = state, 0

	def append(self, event: str, data: dict[str, Any] | None = None) -> None:
		self.appended += event == "losses"
		self.state.follow(Record(self.state.last_seq + 1, "2030-01-01T00:00:00+00:00", event, data or {}, ""))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
	monkeypatch.setattr(approval, "find_all", lambda standbys: standbys)
	monkeypatch.setattr(approval, "describe_all", lambda found: dict(LISTED))
	state = RunState("a")
	return SimpleNamespace(state=state, journal=Journal(state), log=lambda line: None)


def test_each_rollback_has_its_list(run: Any) -> None:
	for times in (1, 2):
		run.journal.append("rollback-started", {"cause": "ada: wrong", "by": "ada"})
		for _ask in range(2):
			with pytest.raises(WaitForPerson):
				approval.require_approval(run, {})
			assert run.journal.appended == times
		assert run.state.losses["seq"] > run.state.rollback["seq"]
