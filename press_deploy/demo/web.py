"""The web server's application. Like Frappe's it keeps the site's configuration for a minute in each worker.

Invariant: a release that can't be imported gives 500 on every request and never ends the server. So new
code takes a restart, a new configuration a reload (HUP) or a minute.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from press_deploy.demo import framework

CACHE_SECONDS = 60.0
LOCAL_NAMES = ("127.0.0.1", "localhost")
JSON, HTML = "application/json", "text/html; charset=utf-8"

_configs: dict[str, tuple[float, dict[str, Any]]] = {}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
	"""Answer one request (WSGI)."""
	status, kind, body = _respond(environ)
	content = body.encode()
	headers = [("Content-Type", kind), ("Content-Length", str(len(content)))]
	start_response(f"{status.value} {status.phrase}", headers)
	return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]


def _respond(environ: dict[str, Any]) -> tuple[HTTPStatus, str, str]:
	site = _choose_site(environ)
	if site is None:
		return HTTPStatus.NOT_FOUND, HTML, "<h1>There is no such site</h1>"
	if _read_cached_config(site).get("maintenance_mode"):
		return HTTPStatus.SERVICE_UNAVAILABLE, HTML, "<h1>Maintenance</h1><p>We are back soon.</p>"
	path = environ.get("PATH_INFO") or "/"
	try:
		return _serve(site, path)
	except Exception:
		logging.getLogger("press_deploy.demo").exception("%s %s failed", environ["REQUEST_METHOD"], path)
		return HTTPStatus.INTERNAL_SERVER_ERROR, HTML, "<h1>Internal Server Error</h1>"


def _serve(site: str, path: str) -> tuple[HTTPStatus, str, str]:
	if path == "/":
		with framework.connect(site) as database:
			return HTTPStatus.OK, HTML, framework.import_app("shop.pages").home(database)
	if path == "/login":
		return HTTPStatus.OK, HTML, "<h1>Login</h1>"
	if path == "/api/method/ping":
		return HTTPStatus.OK, JSON, json.dumps({"message": framework.import_app("shop.api").ping()})
	if path == "/api/method/version":
		return HTTPStatus.OK, JSON, json.dumps({"message": framework.import_app("shop").__version__})
	return HTTPStatus.NOT_FOUND, HTML, "<h1>Not Found</h1>"


def _choose_site(environ: dict[str, Any]) -> str | None:
	"""The site that a request is meant for; by the server's own address one gets the default site."""
	host = environ.get("HTTP_X_FRAPPE_SITE_NAME") or environ.get("HTTP_HOST", "").partition(":")[0]
	sites = framework.list_sites()
	if host in LOCAL_NAMES and sites:
		host = framework.read_config(sites[0]).get("default_site", "")
	return host if host in sites else None


def _read_cached_config(site: str) -> dict[str, Any]:
	read_at, config = _configs.get(site, (0.0, {}))
	if not config or time.monotonic() - read_at > CACHE_SECONDS:
		config = framework.read_config(site)
		_configs[site] = (time.monotonic(), config)
	return config


def _open_log() -> None:
	file = framework.bench_directory() / "logs" / "web.log"
	handler = logging.handlers.WatchedFileHandler(file, delay=True)
	handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
	logging.getLogger().addHandler(handler)
	logging.getLogger().setLevel(logging.WARNING)


def _preload() -> None:
	"""Import the app before gunicorn forks its workers; what fails now fails again in each request."""
	for module in ("shop.api", "shop.pages"):
		try:
			framework.import_app(module)
		except Exception:
			logging.getLogger("press_deploy.demo").exception("%s can't be imported", module)


_open_log()
_preload()
