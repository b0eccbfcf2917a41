"""The whole rollout, and the whole rollback, as two lists of named steps.

Everything that must hold for every step (crash tests, progress, report) reads these lists.
"""

from press_deploy.engine.steps.ports import NOWHERE
from press_deploy.engine.steps.rollout import forward
from press_deploy.engine.steps.way_back import abandoned_rollback, rollback

__all__ = ["FORWARD", "ROLLBACK", "abandoned_rollback", "forward", "rollback"]

# The same steps with nothing in their hands: to be read, by whoever wants to know which there are.
FORWARD, ROLLBACK = forward(NOWHERE), rollback(NOWHERE)
