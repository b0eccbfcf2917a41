"""What a log says went wrong, entry by entry: a line that reports an error, or an exception with its traceback.

Invariant: several processes write to one file, a line each at a time, so that their tracebacks interleave. Then
nobody knows whose frame is whose: every exception of such a knot is given all the frames in it, and is judged by
the worst of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

LINE_LIMIT = 500
# A traceback whose process was killed in the middle never ends: after so many other lines it is not waited for.
FORGOTTEN_AFTER_LINES = 200

_ERROR = re.compile(rb"\b(ERROR|CRITICAL|FATAL)\b|^\w*(\.\w+)*(Error|Exception)\b(:|$)")
_TRACEBACK = b"Traceback (most recent call last)"
_LOGGING_ERROR, _CALL_STACK = b"--- Logging error ---", b"Call stack:"
_MESSAGE, _ARGUMENTS = b"Message: ", b"Arguments: "
_CHAINED = (
	b"During handling of the above exception, another exception occurred:",
	b"The above exception was the direct cause of the following exception:",
)
_BLOCK_STARTS = (_TRACEBACK, _LOGGING_ERROR, _CALL_STACK, _MESSAGE, _ARGUMENTS, *_CHAINED)
# One of these stands in every line that says by itself that something went wrong, or begins to; and in those that
# logging writes about its own failures, once it has announced one.
_TELLING = (b"ERROR", b"CRITICAL", b"FATAL", b"Error", b"Exception", b"Traceback (", b"--- Logging error")
_OF_FAILURES = (_CALL_STACK, _MESSAGE, _ARGUMENTS, b"exception")
_EXCEPTION = re.compile(rb"^[^\W\d][\w.<>]*(:|$)")
_PYTHON_FRAME = re.compile(rb'^\s+File "([^"]+)", line \d+(?:, in (\S+))?')
_NODE_FRAME = re.compile(rb"^\s+at (?:(.*) ?\()?([^()\s]+?)(?::\d+)*\)?$")
# When a line was written: by Frappe and supervisor (this machine's time), by gunicorn (with its offset).
_WRITTEN = re.compile(
	rb"^\W?(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:[.,]\d+)?(?: ?([+-]\d\d):?(\d\d)\b)?", re.MULTILINE
)
_COLOURS = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")
# So much before a telling line is looked at for when it was written: a traceback has no time of its own.
_BEFORE_BYTES = 1 << 12
_LOGGING_FRAME = re.compile(r"(^|/)logging/(__init__|handlers|config)\.py$")
# What most often fails under logging: a file that another process rotated, a full disk, a closed stream.
_OF_LOGGING = re.compile(rb"^\w*Error: .*(\.log\b|No space left on device|I/O operation on closed file)")


class Origin(Enum):
	"""Which part of a log something was read from."""

	LEAD_IN = "before the mark, so that a traceback which the mark cuts is known for what it is"
	SETTLING = "while the run restarted services, until they had settled"
	STABLE = "after that"
	UNREAD = "no part of the log: why something in it could not be read"


# Lines in the order in which they were written, any number of whole ones at a time, without the last line's end.
Source = Iterable[tuple[Origin, bytes]]


@dataclass(frozen=True)
class Entry:
	"""One error that a log reports. `frames`: the files that its traceback leads through, outermost first, and
	`calls` the functions in them; `time` (epoch seconds): when it was written, None where no line says so.
	"""

	text: str
	origin: Origin = Origin.STABLE
	frames: tuple[str, ...] = ()
	# Logging caught it and said so itself: nobody else was harmed by it.
	in_logging: bool = False
	calls: tuple[str, ...] = ()
	time: float | None = None


def read_entries(source: Source) -> Iterator[Entry]:
	"""The entries of one log, in the order in which they ended; without those that ended before the mark."""
	reader = _Reader()
	for origin, block in source:
		for line in [block] if origin is Origin.UNREAD else _telling_lines(block, reader):
			for entry in reader.take(origin, line):
				if entry.origin is not Origin.LEAD_IN:
					yield entry
	for entry in (*reader.end_line(), *reader.give_up()):
		if entry.origin is not Origin.LEAD_IN:
			yield entry


def _telling_lines(block: bytes, reader: _Reader) -> Iterator[bytes]:
	"""Those lines that report an error, and all that follow one for as long as the reader is busy with it.

	Nearly all that is logged is neither: it is not even cut into lines.
	"""
	following: dict[bytes, int] = {}
	position = 0
	while position <= len(block):
		is_next = reader.is_busy
		if not is_next:
			words = (*_TELLING, *_OF_FAILURES) if reader.expects_more else _TELLING
			found = _find_first(block, position, words, following)
			if found < 0:
				return
			position = block.rfind(b"\n", position, found) + 1 or position
		end = block.find(b"\n", position)
		end = end if end >= 0 else len(block)
		line = _COLOURS.sub(b"", block[position:end])
		if is_next or reports_error(line):
			reader.time = find_time(line) or (
				reader.time if is_next else find_time(block[max(0, position - _BEFORE_BYTES) : position])
			)
			yield line
		position = end + 1


def _find_first(block: bytes, position: int, words: Iterable[bytes], following: dict[bytes, int]) -> int:
	"""Where the first of these words is from `position` on, -1 where none is; `following` remembers each one's place."""
	first = -1
	for word in words:
		place = following.get(word, 0)
		if 0 <= place <= position:
			place = following[word] = block.find(word, position)
		if place >= 0 and (first < 0 or place < first):
			first = place
	return first


def find_time(lines: bytes) -> float | None:
	"""When the last of these lines that says so was written, in epoch seconds; None where none does.

	Without an offset it is this machine's time.
	"""
	try:
		*_, (date, time, hours, minutes) = _WRITTEN.findall(lines)
		offset = f"{hours.decode()}:{minutes.decode()}" if hours else ""
		return datetime.fromisoformat(f"{date.decode()}T{time.decode()}{offset}").timestamp()
	except (ValueError, OverflowError):
		return None


def reports_error(line: bytes) -> bool:
	"""Whether a line says by itself that something went wrong, or begins to."""
	return line.startswith(_BLOCK_STARTS) or bool(_ERROR.search(line))


@dataclass
class _Reader:
	"""What is under way in one log: tracebacks that have begun, and a line that may have frames behind it."""

	begun: int = 0
	# (file, function)
	frames: list[tuple[str, str]] = field(default_factory=list)
	named: list[tuple[Origin, bytes]] = field(default_factory=list)
	other_lines: int = 0
	# Logging announced that it failed, and the exception is still to come; whether that was the line before, and
	# whether the traceback under way is surely the one that was announced.
	failures: int = 0
	announces: bool = False
	announced: bool = False
	ended_in_logging: bool = False
	# What logging still has to write about the failures that it announced.
	call_stacks_due: int = 0
	arguments_due: int = 0
	in_call_stack: bool = False
	line: tuple[Origin, bytes, float | None] | None = None
	line_frames: list[tuple[str, str]] = field(default_factory=list)
	# When what is under way was written.
	time: float | None = None

	@property
	def is_busy(self) -> bool:
		return bool(self.begun or self.in_call_stack or self.line or self.announces)

	@property
	def expects_more(self) -> bool:
		"""Whether there may still come what logging writes around a failure that it announced."""
		return bool(self.failures or self.call_stacks_due or self.arguments_due or self.ended_in_logging)

	def take(self, origin: Origin, line: bytes) -> list[Entry]:
		"""One more line; the entries that it ends."""
		if self.line and (frame := _NODE_FRAME.match(line)):
			self.line_frames.append((_text(frame[2]), _text(frame[1] or b"")))
			return []
		ended = self.end_line()
		if origin is Origin.UNREAD:
			return [*ended, Entry(_text(line), origin)]
		if (self.begun or self.in_call_stack) and (not line or line[:1].isspace()):
			if self.begun and (frame := _PYTHON_FRAME.match(line)):
				self.frames.append((_text(frame[1]), _text(frame[2] or b"")))
			return ended
		if self._is_of_logging(line):
			return ended
		self.announces = self.announces and (not line or line.startswith(_TRACEBACK))
		if line.startswith(_TRACEBACK):
			self.announced = self.announces and not self.begun
			self.begun, self.other_lines = self.begun + 1, 0
		elif self.begun and _EXCEPTION.match(line):
			self.named.append((origin, line))
			self.begun -= 1
			ended += [] if self.begun else self._untie()
		else:
			ended += self._take_other(origin, line)
		return ended

	def end_line(self) -> list[Entry]:
		"""The line that reported an error by itself, now that no frame of it follows any more."""
		if not self.line:
			return []
		(origin, line, time), frames = self.line, self.line_frames
		self.line, self.line_frames = None, []
		return [replace(self._entry(origin, line, frames), time=time)]

	def give_up(self) -> list[Entry]:
		"""Wait no longer for the end of a traceback: the exceptions that others were at meanwhile."""
		self.begun = 0
		return self._untie()

	def _take_other(self, origin: Origin, line: bytes) -> list[Entry]:
		self.other_lines += 1
		ended = self.give_up() if self.begun and self.other_lines > FORGOTTEN_AFTER_LINES else []
		if _ERROR.search(line):
			self.line = (origin, line, self.time)
		return ended

	def _is_of_logging(self, line: bytes) -> bool:
		"""Whether the line belongs to what logging writes around a traceback of its own."""
		if line.startswith(_LOGGING_ERROR):
			self.failures, self.call_stacks_due = self.failures + 1, self.call_stacks_due + 1
			self.announces = True
		elif line.startswith(_CHAINED):
			self.failures += self.ended_in_logging
			self.announces = self.ended_in_logging
		elif line.startswith(_CALL_STACK) and self.call_stacks_due:
			self.in_call_stack = True
			self.call_stacks_due, self.arguments_due = self.call_stacks_due - 1, self.arguments_due + 1
		elif self.arguments_due and line.startswith((_MESSAGE, _ARGUMENTS)):
			self.in_call_stack = False
			self.arguments_due -= line.startswith(_ARGUMENTS)
		else:
			return False
		return True

	def _untie(self) -> list[Entry]:
		"""All tracebacks that were under way have ended: who failed in logging, and who did not.

		A traceback by itself right behind its announcement is logging's. Of several that are mixed those are that
		look like it, and no more than were announced.
		"""
		frames, named = self.frames, self.named
		self.frames, self.named = [], []
		inside = any(_LOGGING_FRAME.search(file) for file, _function in frames)
		is_sure = self.announced and len(named) == 1
		likely = [number for number, (_, line) in enumerate(named) if is_sure or _OF_LOGGING.search(line)]
		own = set(likely[: self.failures] if inside else [])
		self.failures -= len(own)
		self.ended_in_logging = bool(own)
		return [
			self._entry(origin, line, frames, number in own) for number, (origin, line) in enumerate(named)
		]

	def _entry(
		self, origin: Origin, line: bytes, frames: list[tuple[str, str]], in_logging: bool = False
	) -> Entry:
		files = tuple(file for file, _function in frames)
		calls = tuple(function for _file, function in frames)
		return Entry(_text(line), origin, files, in_logging, calls, self.time)


def _text(line: bytes) -> str:
	return line.decode("utf-8", "replace")[:LINE_LIMIT].strip()
