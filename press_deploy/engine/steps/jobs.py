"""After opening: the workers, held while the sites were closed, go on with the jobs that waited.

Invariant: nothing that goes wrong here changes how the run ends; workers that can't be told go on by themselves
when the hold is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from press_deploy.engine.errors import DeployError
from press_deploy.engine.state import Phase
from press_deploy.engine.steps.base import Step
from press_deploy.engine.steps.deploy import JOBS_SECONDS, sharing_queues

if TYPE_CHECKING:
	from press_deploy.engine.context import Context


class ResumeJobs(Step):
	"""Once the sites are open: one of the scheduler's jobs fails while they are closed, and is not tried again."""

	name, title, phase = "resume-jobs", "Let the workers go on", Phase.OPEN

	def apply(self, context: Context, before: dict[str, Any]) -> dict[str, Any]:
		try:
			answers = [
				context.site_processes.call(
					"release_workers", sites[0], timeout=JOBS_SECONDS, run=context.run.name
				)
				for sites in sharing_queues(context)
			]
		except DeployError as error:
			context.note(
				f"The workers could not be told to go on: {error.why}. They do by themselves within the hour. At once, "
				f"with the address that redis_queue names in {context.bench.common_config}: "
				f"{context.bench.path}/env/bin/rq resume --url redis://127.0.0.1:11000"
			)
			return {
				"released": False,
				"found": "they could not be told; they do by themselves within the hour",
			}
		released = any(answer["released"] for answer in answers)
		return {"released": released, "found": "at work" if released else "nobody was held by this run"}


class RollbackResumeJobs(ResumeJobs):
	name, phase = "rollback-resume-jobs", Phase.ROLLBACK

	def skip_reason(self, context: Context) -> str | None:
		held = any(context.state.was_announced(name) for name in ("pause-jobs", "rollback-pause-jobs"))
		return None if held else "no worker was held"
