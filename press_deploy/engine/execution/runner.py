"""The runner: executes the steps of a run, one after the other, and survives its own death.

Invariant: every effect is announced in the journal before it is made and recorded after it was observed.
A resumed run asks reality, not the journal, whether a half-done step is done.
"""

from __future__ import annotations

import os
import sys
import time
from functools import partial

from press_deploy.engine import steps
from press_deploy.engine.execution.finishing import finish
from press_deploy.engine.execution.listening import Listener, tell_each
from press_deploy.engine.execution.waiting import leave_waiting
from press_deploy.engine.ground.errors import DeployError, JournalError, Refused, StepFailed, from_data
from press_deploy.engine.ground.observation import Observation
from press_deploy.engine.homes.home import Home, running_home
from press_deploy.engine.journal.journal import Record
from press_deploy.engine.journal.state import Phase, RunState, State
from press_deploy.engine.steps.announcements import tell_who_must_act
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.interrupts import RollbackNeeded, WaitForPerson
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.rollback import RollbackOpen
from press_deploy.engine.steps.rollback_losses import LostDocuments
from press_deploy.engine.steps.run import Run

# In these phases no visitor may get through.
CLOSED_PHASES = {Phase.DEPLOY, Phase.VALIDATE}
CAME_LATER = "the run was begun by an earlier version, which has no such step, and is beyond it"


class Runner:
	"""Executes or resumes one run."""

	def __init__(self, opened: Run, ports: Ports, listeners: list[Listener]):
		self.opened, self.ports, self._listeners = opened, ports, listeners
		self._doors = ports.doors
		self._forward, self._rollback = steps.forward(ports), steps.rollback(ports)

	@property
	def state(self) -> RunState:
		return self.opened.state

	def tell_record(self, record: Record) -> None:
		"""A record is on the disk: the state takes it into account, then all who watch are told."""
		self.state.follow(record)
		self.ports.projector.follow(record, self.state)
		tell_each(self._listeners, lambda listener: listener.journal_appended(record, self.state))

	def tell_progress(self, line: str) -> None:
		tell_each(self._listeners, lambda listener: listener.progress_made(line))

	def run(self) -> State:
		"""Go on from wherever the journal says the run is; return the state it reached."""
		facts = {"pid": os.getpid(), "resumed": bool(self.state.steps), "python": sys.version.split()[0]}
		if home := running_home():
			facts["home"] = home.name
		unwatched = self._doors.services.watch_runner(self.opened.name)
		try:
			self.opened.journal.append("runner-started", facts)
			if unwatched:
				self.opened.note(unwatched)
			if home:
				self._link_to(home)
			go_on = self._go_on
			while True:
				try:
					reached = go_on()
				except RollbackNeeded as cause:
					go_on = partial(self._start_rollback, cause)
					continue
				# Whoever answered while the report was written found a runner alive, and started none.
				if reached is not State.WAITING or not self.opened.has_requests():
					return reached
				go_on = self._go_on
		finally:
			# Also for an error or an interrupt by a person: what follows from that is not decided by a restart.
			self._doors.services.unwatch_runner(self.opened.name)
			self.ports.close()

	def _link_to(self, home: Home) -> None:
		try:
			home.give_to(self.opened.directory)
		except OSError as error:
			self.opened.note(
				f"The run has no link to its home, {home.path}: {error.filename}: {error.strerror}"
			)

	def _go_on(self) -> State:
		if self.state.state is State.WAITING:
			if kept := leave_waiting(self.opened, self._doors):
				return self._end(State.SUCCEEDED, kept)
			if self.state.state is State.WAITING:
				tell_who_must_act(self.opened, self.ports.site_processes)
				return State.WAITING
		try:
			self._doors.keep_what_is_held()
		except DeployError as error:
			# The step that goes on, or goes back, meets the same cause, and knows what follows from it.
			self.opened.note(f"The sites could not be held closed after the resume: {error}")
		if self.state.state is State.ROLLING_BACK:
			return self._roll_back()
		return self._walk()

	def _walk(self) -> State:
		for step in self._forward:
			known = self.state.step(step.name)
			if not known and self._has_passed(step):
				self._journal("step-skipped", step, reason=CAME_LATER)
				continue
			try:
				if not (known and known.is_over):
					self.opened.stop_if_asked()
					if step.phase in CLOSED_PHASES:
						self._doors.check_they_hold()
					self._perform(step)
			except WaitForPerson as wait:
				return self._wait(step, wait)
			except JournalError:
				raise
			except DeployError as error:
				return self._stop(step, error)
			if self.state.dry_run and step.phase is Phase.PREFLIGHT:
				return self._end(State.CHECKED, "the dry run found nothing against this deployment")
		self.opened.stop_if_asked()
		return self._end(State.SUCCEEDED, "the release is live and healthy")

	def _has_passed(self, step: Step) -> bool:
		"""Whether the run is beyond a step that its journal does not have: an earlier version began it without."""
		later = self._forward[self._forward.index(step) + 1 :]
		return any(self.state.step(each.name) for each in later)

	def _perform(self, step: Step) -> None:
		"""Make a step's effect unless it is there, and let every failure of it be one of ours."""
		with self.opened.log_of(step.name):
			try:
				self._attempt(step)
			except (JournalError, WaitForPerson, RollbackNeeded):
				raise
			except DeployError as error:
				error.name_log(str(self.opened.directory.step_log(step.name)))
				self._note_failure(step, error)
				raise
			except Exception as error:
				# A defect in a step must end in a rollback like any other failure, not in a traceback.
				self.opened.log_exception()
				log = self.opened.directory.step_log(step.name)
				failure = StepFailed(
					"Executing", step.title, f"{type(error).__name__}: {error}", f"see {log}"
				)
				self._note_failure(step, failure)
				raise failure from error

	def _attempt(self, step: Step) -> None:
		"""Announce, apply, observe, record; after a crash, first ask what is there already."""
		run, known = self.opened, self.state.step(step.name)
		if known and known.is_over:
			return
		if known and known.status == "failed" and step.phase is not Phase.ROLLBACK:
			# The runner died between a failure and what follows from it.
			raise from_data(known.error)
		# What failed on the way back is tried again: its cause may be gone, and nothing better is known.
		if known and known.was_announced:
			before = known.before
			observation = step.observe(run, before, None)
			if observation.done:
				return self._record(step, {}, observation)
			run.log(f"{step.title}: not done yet ({observation.found}); doing it again")
		elif reason := step.skip_reason(run):
			return self._journal("step-skipped", step, reason=reason)
		else:
			before = step.prepare(run)
			self._journal("step-announced", step, before=before)
		result = step.apply(run, before) or {}
		tell_each(self._listeners, lambda listener: listener.effect_made(step))
		observation = step.observe(run, before, result)
		if not observation.done:
			raise StepFailed(
				"Observing", step.title, observation.found, f"see {run.directory.step_log(step.name)}"
			)
		self._record(step, result, observation)

	def _note_failure(self, step: Step, error: DeployError) -> None:
		known = self.state.step(step.name)
		if known is None or known.status != "failed" or known.error != error.as_data():
			self._journal("step-failed", step, error=error.as_data())

	def _record(self, step: Step, result: dict, observation: Observation) -> None:
		result = {**result, **({"evidence": observation.evidence} if observation.evidence else {})}
		self._journal("step-observed", step, result=result, found=observation.found)

	def _heed_database_request(self) -> None:
		"""While only the code goes back: does somebody want the database to go with it?"""
		state = self.state
		if state.step(RollbackOpen.name):
			return  # whoever asks from now on is told at the end
		while request := self.opened.take_request():
			if request.action != "approve" and not request.database:
				self.opened.note(
					f"{request.by} asked ({request.action}: {request.reason}); it is on its way back."
				)
		since = [each for each in state.requests if each["seq"] > state.rollback["seq"]]
		wanted = next((each for each in since if each.get("database")), None)
		if wanted and not state.rolls_database_back:
			raise RollbackNeeded.asked_by(wanted)

	def _stop(self, step: Step, error: DeployError) -> State:
		"""What follows when a step can't be done: roll back, or end where nothing was changed yet."""
		if step.phase is Phase.CLOSE:
			self.opened.note(f"{step.title} failed: {error}")
			return self._end(
				State.SUCCEEDED, f"the release is live, but {step.title.lower()} failed: {error.told}", error
			)
		if self.opened.may_have_changed_something():
			return self._start_rollback(RollbackNeeded(_tell(step, error), error=error))
		self._doors.release_lease()
		if isinstance(error, Refused):
			return self._end(State.REFUSED, error.why, error)
		return self._end(State.ABORTED, f"{_tell(step, error)}. Nothing was changed.", error)

	def _start_rollback(self, cause: RollbackNeeded) -> State:
		if self._would_lose_data(cause):
			return self._wait_for_rollback(cause)
		self.opened.journal.append("rollback-started", cause.as_data())
		return self._roll_back()

	def _would_lose_data(self, cause: RollbackNeeded) -> bool:
		"""Once migrated and opened, going back takes the users' work since: that is a person's decision."""
		migrated, opened = self.state.was_announced("migrate"), self.state.was_announced("open")
		return migrated and opened and cause.by is None

	def _wait_for_rollback(self, cause: RollbackNeeded) -> State:
		taken = self.state.step("final-backup").ended
		reason = (
			f"{cause.cause}. The database was migrated and the sites were opened since: rolling back returns it to "
			f"the backup of {taken[:19]} UTC, and everything written after that is lost"
		)
		return self._wait(None, WaitForPerson(reason, when_nobody_decides="wait", accepts_go=False))

	def _roll_back(self) -> State:
		"""The rollback's own state machine. Entered again after a crash, it goes on where it was."""
		# What was kept back for this: on a full disk, putting files back takes room as well.
		self.opened.journal.free_reserve()
		abandoned = self.state.rollback.get("abandoned")
		try:
			for step in steps.abandoned_rollback(self.ports) if abandoned else self._rollback:
				if not abandoned:
					self._heed_database_request()
				self._perform(step)
		except JournalError:
			raise
		except WaitForPerson as wait:
			return self._wait(step, wait)
		except DeployError as error:
			if isinstance(step, LostDocuments) and self.state.may_stay_as_it_is:
				# Nobody can say what would be lost, so the rollback is given up, and the sites are opened again.
				self.opened.journal.append("rollback-abandoned", {"reason": _tell(step, error)})
				return self._roll_back()
			what_now = self._what_now()
			self._doors.leave_to_a_person()
			return self._end(
				State.FATAL, f"the rollback stopped at “{_tell(step, error, '”: ')}. {what_now}", error
			)
		if abandoned:
			return self._keep_release(abandoned)
		return self._end(State.ROLLED_BACK, f"rolled back: {self.state.rollback['cause']}")

	def _keep_release(self, why: str) -> State:
		"""The rollback was given up: a run that was over stays so, any other goes on where it left its way."""
		if self.state.has_succeeded:
			return self._end(State.SUCCEEDED, f"not rolled back, the release stays: {why}")
		self.opened.journal.append("went-forward", {"reason": why})
		return self._walk()

	def _what_now(self) -> str:
		try:
			closed = self.opened.bench.sites_in_maintenance(self.opened.spec.site_names)
			maintenance = f"In maintenance mode: {', '.join(closed)}. " if closed else "The sites are open. "
		except DeployError as error:
			maintenance = f"Whether the sites are open can't be told: {error.why}. "
		database = ["--database"] if self.state.rollback.get("database") else []
		again = self.opened.bench.command_to_type("rollback", self.opened.name, *database)
		return f"{maintenance}Mend the cause, then: {again}"

	def _wait(self, step: Step | None, wait: WaitForPerson) -> State:
		seconds = self.opened.spec.decision_seconds
		facts = {"step": step.name if step else None, "deadline": time.time() + seconds}
		self.opened.journal.append("waiting", {**wait.as_data(), **facts})
		tell_who_must_act(self.opened, self.ports.site_processes)
		self._doors.hand_over(seconds)
		finish(self.opened, self.ports)
		return State.WAITING

	def _end(self, state: State, reason: str, error: DeployError | None = None) -> State:
		if self._doors.services.lost_helper:
			self.opened.note("The helper had gone; the run went on with the bench user's own rights.")
		while request := self.opened.take_request():
			self.opened.note(f"{request.by} asked too late ({request.action}: {request.reason}); ask again.")
		data = {"state": state.value, "reason": reason}
		self.opened.journal.append("run-ended", {**data, "error": error.as_data()} if error else data)
		tell_who_must_act(self.opened, self.ports.site_processes)
		finish(self.opened, self.ports)
		return state

	def _journal(self, event: str, step: Step, **data: object) -> None:
		facts = {"step": step.name, "phase": step.phase.value, "title": step.title}
		self.opened.journal.append(event, {**facts, **data})


def _tell(step: Step, error: DeployError, colon: str = ": ") -> str:
	"""Which step failed over what, and why, in one sentence."""
	why = error.why if error.what == step.title else error.told
	return f"{step.title}{colon}{why}"
