"""The whole tree of errors, at one glance. Foreign errors are translated into it where they are met.

Invariant: each error says what was being done, to what, why it failed and what to do now.

    DeployError
    ├── InputError          a value from outside is refused, before anything is touched
    ├── Refused             preflight says no, nothing was changed
    ├── LockHeld            another run owns the bench
    ├── JournalError        the journal cannot be written
    │   └── JournalDamaged  the journal does not add up
    ├── CommandFailed       a program ended with an error
    │   └── CommandTimedOut
    ├── SiteProcessFailed   a task inside Frappe failed
    ├── ServiceError        maintenance or a service could not be changed or asked
    ├── StepFailed          a step's effect is not there
    └── Stopped             somebody asked the run to stop; not a failure
"""

from __future__ import annotations

SHOWN_VALUE_LENGTH = 80
# How a remedy names the log of the step at work, whatever step that is.
STEP_LOG = "the step's log"


def encodable(text: str) -> str:
	"""The text with `\\udce9` for each byte of a file's name that is no UTF-8, so that it can be written down."""
	return text.encode("utf-8", "backslashreplace").decode()


class DeployError(Exception):
	"""`doing` something to `what` failed: `why`; `remedy` is what the reader does now."""

	def __init__(self, doing: str, what: str, why: str, remedy: str = ""):
		self.doing, self.what, self.why, self.remedy = map(encodable, (doing, what, why, remedy))
		super().__init__(str(self))

	def __str__(self) -> str:
		sentence = f"{self.doing} {self.what}: {self.why}".strip()
		return f"{sentence}\n  → {self.remedy}" if self.remedy else sentence

	@property
	def told(self) -> str:
		"""What failed, and why: for a sentence that has no room for more."""
		return self.why if self.what in self.why else f"{self.what}: {self.why}"

	def name_log(self, path: str) -> None:
		"""Say by its path where the log is, once it is known which step's log “the step's log” was."""
		self.why, self.remedy = (text.replace(STEP_LOG, path) for text in (self.why, self.remedy))

	def as_data(self) -> dict[str, str]:
		"""The error as plain data, for the journal and the report."""
		return {
			"kind": type(self).__name__,
			"doing": self.doing,
			"what": self.what,
			"why": self.why,
			"remedy": self.remedy,
		}


class InputError(DeployError):
	"""A field holds a value that is not accepted."""

	def __init__(self, field: str, value: object, why: str, remedy: str):
		self.field, self.value = field, value
		super().__init__("Reading", f"field “{field}” with value {show(value)}", why, remedy)


class Refused(DeployError):
	"""Preflight found something that forbids the deployment."""


class LockHeld(DeployError):
	"""The bench belongs to another run."""


class JournalError(DeployError):
	"""The journal could not be written, so nothing more may be done."""


class JournalDamaged(JournalError):
	"""The journal was altered, or is not a journal."""


class CommandFailed(DeployError):
	"""A program ended with an exit status that is not 0."""


class CommandTimedOut(CommandFailed):
	"""A program was ended because it took too long."""


class SiteProcessFailed(DeployError):
	"""A task inside Frappe failed; `why` is Frappe's own message."""


class ServiceError(DeployError):
	"""Maintenance mode or a service could not be changed, or could not be asked about."""


class StepFailed(DeployError):
	"""The effect of a step is not there, or its check failed."""


class Stopped(DeployError):
	"""A person asked the run to stop."""

	@property
	def told(self) -> str:
		"""Who asked, and why: it is the run itself that says so."""
		return self.why


def from_data(data: dict[str, str]) -> DeployError:
	"""What `as_data` wrote down, as whoever goes on from it takes it: a refusal, or a failure of whatever kind."""
	kind = Refused if data["kind"] == Refused.__name__ else StepFailed
	return kind(*(data[key] for key in ("doing", "what", "why", "remedy")))


def show(value: object) -> str:
	"""A value as it may stand in a message: quoted, control characters visible, shortened."""
	text = repr(value)
	return (
		text if len(text) <= SHOWN_VALUE_LENGTH else f"{text[:SHOWN_VALUE_LENGTH]}… ({len(text)} characters)"
	)
