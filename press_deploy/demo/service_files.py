"""The text of the practice bench's service configuration, shaped like what `bench setup` writes."""

from __future__ import annotations

from press_deploy.demo.places import Places

WEB_WORKERS = 2

# Read from the working directory by every web server, the preview instance's included. Newer versions of
# gunicorn open a socket in the user's home; older ones pass over a setting that they don't know.
GUNICORN = """\
import os
import sys

control_socket_disable = True


# Nothing of a process that ended well has to be cleared up, and doing that takes longer than starting a worker.
def worker_exit(server, worker):
	ended = sys.exc_info()[1]
	if isinstance(ended, SystemExit) and not ended.code:
		os._exit(0)


def on_exit(server):
	# What gunicorn raises when it was told to stop; for a failure of its own it is another one.
	if isinstance(sys.exc_info()[1], StopIteration):
		os._exit(0)
"""

SUPERVISORD = """\
[unix_http_server]
file={socket}
chmod=0700

[supervisord]
logfile={runtime}/supervisord.log
pidfile={runtime}/supervisord.pid
childlogdir={runtime}
nodaemon=true

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[include]
files=supervisor.conf
"""

# No `startsecs`: a program counts as running when it was started. What it answers is waited for in any case, and a
# crash loop is told by its processes.
SUPERVISOR = """\
[program:{name}-frappe-web]
command={python} -m gunicorn -b 127.0.0.1:{port} -w {workers} -t 60 --preload press_deploy.demo.web:application
directory={bench}/sites
stdout_logfile={bench}/logs/web.output.log
stderr_logfile={bench}/logs/web.error.log
autorestart=true
startsecs=0
stopwaitsecs=40
killasgroup=true

[program:{name}-frappe-short-worker]
command={python} -m press_deploy.demo.worker
directory={bench}/sites
stdout_logfile={bench}/logs/worker.log
stderr_logfile={bench}/logs/worker.error.log
autorestart=true
startsecs=0
stopwaitsecs=360
killasgroup=true

[group:{name}-web]
programs={name}-frappe-web

[group:{name}-workers]
programs={name}-frappe-short-worker
"""


def describe_supervisord(places: Places) -> str:
	"""The daemon's own configuration, `config/supervisord.conf`."""
	return SUPERVISORD.format(socket=places.supervisor_socket, runtime=places.runtime)


def describe_programs(places: Places, port: int) -> str:
	"""The bench's programs and groups, `config/supervisor.conf`."""
	return SUPERVISOR.format(
		name=places.bench.name, bench=places.bench, python=places.python, port=port, workers=WEB_WORKERS
	)
