"""What ssh, rsync and the programs there say when they fail, in words an admin understands.

Invariant: text of a program is looked up, never trusted to be a success.
"""

from __future__ import annotations

from press_deploy.engine.ground.errors import STEP_LOG, CommandFailed, StepFailed

_REACH = ("it can't be reached", "check host, firewall and network, then start the plan again")
_SPACE = ("there is no space left there", "free space there, then start the plan again")
_UNWRITTEN = (
	"rsync could not write the file there, most likely for lack of space",
	"free space there or check its disk, then start the plan again",
)
_AWAY = ("the directory is not there", "see whether its disk is mounted there, or create it")
_CUT = ("the connection was cut", "check the network, then start the plan again")
_PROGRAM = ("a program is missing there", "install rsync and coreutils there")
_HOST_KEY = (
	"its host key is unknown here, or another one than before",
	"compare its fingerprint with the host's own, then add it to the bench user's ~/.ssh/known_hosts",
)
_KEY = (
	"it accepts none of our keys",
	"add the bench user's public key to authorized_keys there, or set identity_file in the plan",
)
# The first text that is found decides.
_REASONS = (
	("Host key verification failed", _HOST_KEY),
	("Permission denied (", _KEY),
	(
		"Could not resolve",
		("its name can't be resolved", "correct host in the plan, or name resolution here"),
	),
	("Connection refused", ("nothing listens on that port", "start sshd there, or correct port in the plan")),
	("Connection timed out", _REACH),
	("No route to host", _REACH),
	("Network is unreachable", _REACH),
	("No space left", _SPACE),
	("quota exceeded", _SPACE),
	(
		"File too large",
		("that host allows no file of this size", "raise the limit there, then start the plan again"),
	),
	(
		"Read-only file system",
		("it is mounted read-only there", "mount it writable there, then start the plan again"),
	),
	("not found", _PROGRAM),
	("No such file", _AWAY),
	("can't cd", _AWAY),
	(
		"Permission denied",
		("that user may not write there", "give it the right to write in the directory there"),
	),
	("exit status 255", _CUT),
	("connection unexpectedly closed", _CUT),
	("Broken pipe", _CUT),
	("timeout in data", _CUT),
	# rsync's own words are lost now and then when the other side ends first; its exit status is not.
	("exit status 11", _UNWRITTEN),
	("exit status 12", _CUT),
	("exit status 30", _CUT),
)


def translate(doing: str, what: str, error: CommandFailed) -> StepFailed:
	"""The failure of a program in our words; what it said itself stands in the step's log."""
	for text, (why, remedy) in _REASONS:
		if text.lower() in error.why.lower():
			return StepFailed(doing, what, why, remedy)
	return StepFailed(doing, what, f"{error.what}: {error.why}", f"see {STEP_LOG}, then start the plan again")
