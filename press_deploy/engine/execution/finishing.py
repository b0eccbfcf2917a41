"""What is left to do when a run waits or is over: its report, and its records in the site."""

from __future__ import annotations

from press_deploy.engine.report.writing import write_report
from press_deploy.engine.steps.ports import Ports
from press_deploy.engine.steps.run import Run


def finish(run: Run, ports: Ports) -> None:
	"""Write the report, and let the records in the site follow. Neither may change how the run ended."""
	ports.doors.prober.close()
	try:
		write_report(run.bench, run.directory)
	except Exception:
		with run.log_of("report"):
			run.log_exception()
	ports.projector.finish()
