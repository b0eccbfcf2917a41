"""The table of what a site process can do: name → function.

The engine calls these names with these arguments; a function that stands here is a contract with it.
"""

from press_deploy.site.assets import build
from press_deploy.site.backup import back_up
from press_deploy.site.caches import clear_cache
from press_deploy.site.console import check_console
from press_deploy.site.critical_test_settings import repair_tests
from press_deploy.site.critical_test_targets import check_tests
from press_deploy.site.critical_tests import run_tests
from press_deploy.site.description import describe
from press_deploy.site.notifications import notify
from press_deploy.site.queue import find_busy_jobs
from press_deploy.site.records import project, project_all
from press_deploy.site.restore import restore
from press_deploy.site.schema import migrate
from press_deploy.site.secrets import read_settings_secrets

TASKS = {
	"describe": describe,
	"backup": back_up,
	"restore": restore,
	"busy_jobs": find_busy_jobs,
	"migrate": migrate,
	"build": build,
	"clear_cache": clear_cache,
	"check_tests": check_tests,
	"run_tests": run_tests,
	"repair_tests": repair_tests,
	"console": check_console,
	"project": project,
	"project_all": project_all,
	"notify": notify,
	"settings_secrets": read_settings_secrets,
}
