"""The text of what starts the helper: a systemd unit, or a supervisor program.

Invariant: whatever stops or restarts the helper leaves the runners alive that it started, for a runner
may be in the middle of a deployment.
"""

from __future__ import annotations

PYTHON = "/usr/bin/python3"
# No environment, no user directory, no packages nor their start-up files, and no bytecode written.
ISOLATION = ("-I", "-S", "-B")

# Runners are children of the helper and live under the same restrictions: git, pip, node and database
# clients must work, in a bench that may be in a home directory. So neither ProtectHome, PrivateTmp nor
# MemoryDenyWriteExecute. The capabilities: become the bench's user, end the children that did, and talk
# to a supervisor whose socket belongs to that user.
SYSTEMD_UNIT = """\
[Unit]
Description=press_deploy helper: maintenance mode and services for deployments
After=network.target supervisor.service

[Service]
ExecStart={command}
Restart=always
RestartSec=2
KillMode=process
OOMPolicy=continue
RuntimeDirectory=press_deploy
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=restart
UMask=0022
CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_KILL CAP_DAC_OVERRIDE
NoNewPrivileges=yes
ProtectSystem=full
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=multi-user.target
"""

SUPERVISOR_PROGRAM = """\
[program:press-deploy-helper]
command={command}
user=root
directory=/
autostart=true
autorestart=true
stopasgroup=false
killasgroup=false
redirect_stderr=true
"""

SCRIPT = """\
#!/bin/sh
# Written by `press-deploy helper install`. Runs root's own copy of the helper, and nothing of a bench's.
exec {command} "$@"
"""


def build_command(code: str) -> list[str]:
	"""Return the command that runs the code: isolated from user, environment and installed packages."""
	return [PYTHON, *ISOLATION, code]
