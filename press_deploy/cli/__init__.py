"""`press-deploy`: parse, call, print, exit code. Needs neither Frappe nor a database."""

from press_deploy.cli.main import main

__all__ = ["main"]
