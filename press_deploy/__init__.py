"""Production deployments of a Frappe bench: back up, switch, validate, open, monitor, roll back.

Invariant: importing this package imports no Frappe. The runner needs the package, and must survive a
release in which Frappe itself can't be imported any more.
"""

__version__ = "0.1.0"


def run(plan: str | None = None, dry_run: bool = False) -> None:
	"""Execute an approved plan in the foreground: `bench --site SITE execute press_deploy.run`.

	Without `plan` there has to be exactly one that is approved and not yet deployed. Ends the process with
	the exit code of the run (0 GO, 2 refused, 3 rolled back, 4 waiting for a person, 5 fatal, 1 other).
	"""
	from press_deploy.site.foreground import run_plan

	raise SystemExit(run_plan(plan, dry_run))
