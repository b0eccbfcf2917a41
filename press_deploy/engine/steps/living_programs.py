"""Whether what was started is still alive, for the verdict and while the sites are watched."""

from __future__ import annotations

from press_deploy.engine.bench.program_logs import list_logs
from press_deploy.engine.bench.program_watch import ProgramWatch
from press_deploy.engine.bench.services import Services
from press_deploy.engine.ground.errors import DeployError
from press_deploy.engine.steps.install import Restart, Stabilise
from press_deploy.engine.steps.run import Run
from press_deploy.engine.verdict.conditions import Condition


def judge_programs(run: Run, services: Services) -> list[Condition]:
	"""Whether every program is still the process that was there when the services had settled.

	Nothing where that is not known: a run may have been begun by an earlier version of this app.
	"""
	name, wanted = "Programs", "none died since the restart"
	processes = run.state.result(Stabilise.name).get("processes")
	if not processes:
		return []
	watch = ProgramWatch(services, run.state.result(Restart.name).get("late", []), processes)
	try:
		restarted, down = watch.look()
	except DeployError as error:
		return [Condition(name, None, "unknown", wanted, error.why)]
	died = [*(f"{each} (started again)" for each in restarted), *down]
	value = f"{len(died)} died" if died else f"{len(processes)} up"
	logs_of = list_logs(run.bench, [each.split(" ")[0] for each in died])
	evidence = f"{', '.join(died)} (log: {logs_of})" if died else ""
	return [Condition(name, not died, value, wanted, evidence, "error_rate")]
