"""Wiring only: what of this app Frappe calls, and when."""

app_name = "press_deploy"
app_title = "Press Deploy"
app_publisher = "press_deploy contributors"
app_description = "Production deployments of a Frappe bench"
app_email = "press-deploy@example.invalid"
app_license = "mit"

before_install = "press_deploy.site.install.before_install"
after_install = "press_deploy.site.install.after_install"
after_sync = "press_deploy.site.install.after_sync"
after_migrate = "press_deploy.site.install.after_migrate"
before_uninstall = "press_deploy.site.install.before_uninstall"
after_uninstall = "press_deploy.site.install.after_uninstall"

doctype_js = {
	"Deployment Run": [
		"public/js/whole_rows.js",
		"public/js/work.js",
		"public/js/losses.js",
		"public/js/run_progress.js",
	],
	"Rollback Event": "public/js/whole_rows.js",
	"Deployment Backup": "public/js/whole_rows.js",
	"Deployment Settings": "public/js/work.js",
}
doctype_list_js = {"Deployment Backup": "public/js/work.js"}

scheduler_events = {
	"cron": {
		"*/4 * * * *": [
			"press_deploy.jobs.resume_orphaned_runs",
			"press_deploy.jobs.repair_records",
		],
	},
	"daily": [
		"press_deploy.jobs.follow_up_runs",
		"press_deploy.jobs.prove_daily",
	],
	# A database that is in use is waited for longer than the default queue gives a job.
	"daily_long": ["press_deploy.jobs.tidy_backups"],
}
