"""What a site is: its framework, its apps, its scheduler. Changes nothing."""

from __future__ import annotations

import frappe
from frappe.utils.scheduler import is_scheduler_disabled


def describe() -> dict:
	"""Return {"framework": "frappe 16.0.0", "apps": [installed on this site], "scheduler_disabled": bool}."""
	return {
		"framework": f"frappe {frappe.__version__}",
		"apps": frappe.get_installed_apps(),
		"scheduler_disabled": bool(is_scheduler_disabled(verbose=False)),
	}
