"""The plan's HTTP smoke tests: asked in private and in public, and judged by the same words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from press_deploy.engine.bench.web import Web
from press_deploy.engine.plan.spec import HttpCheck
from press_deploy.engine.steps.run import Run
from press_deploy.engine.verdict.conditions import Condition

if TYPE_CHECKING:
	from press_deploy.engine.bench.answer import Answer

_MARKUP = re.compile(r"<(head|script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
PING = HttpCheck(name="Ping", path="/api/method/ping", expected_text="pong")


def http_checks(run: Run) -> list[HttpCheck]:
	return [test for test in run.spec.smoke_tests if isinstance(test, HttpCheck)]


def check_http(web: Web, site: str, test: HttpCheck, address: str | None) -> Condition:
	"""One HTTP smoke test, at the preview instance's `address` or in public."""
	timeout = max(10.0, (test.maximum_latency_ms or 0) / 1000 * 2)
	answer = web.ask(
		site,
		test.path,
		address=address,
		public=address is None,
		method=test.method,
		headers=test.headers,
		timeout=timeout,
	)
	wrong = _what_is_wrong(test, answer)
	value = f"{answer.status or answer.kind} in {answer.latency_ms:.0f} ms"
	limit = f" within {test.maximum_latency_ms:g} ms" if test.maximum_latency_ms else ""
	wanted = f"{test.expected_status}{limit}{_content_wanted(test)}"
	return Condition(f"{test.name} ({site})", not wrong, value, wanted, wrong, "error_rate")


def _what_is_wrong(test: HttpCheck, answer: Answer) -> str:
	if answer.status != test.expected_status:
		return answer.why or f"answered {answer.status}: {_visible_text(answer.text)[:200]}"
	if test.expected_text is not None and test.expected_text not in answer.text:
		return f"the text {test.expected_text[:60]!r} is not in the answer"
	if test.expected_json is not None and not _contains_json(answer.text, test.expected_json):
		return f"the answer does not contain {json.dumps(test.expected_json)[:100]}: {answer.text[:100]}"
	if test.maximum_latency_ms is not None and answer.latency_ms > test.maximum_latency_ms:
		return "it was too slow"
	return ""


def _content_wanted(test: HttpCheck) -> str:
	text = "" if test.expected_text is None else f" with the text {test.expected_text[:60]!r}"
	if test.expected_json is None:
		return text
	# In the letters of the answer, so that the two can be compared.
	return f"{text}{' and' if text else ''} with {json.dumps(test.expected_json, ensure_ascii=False)[:100]}"


def _visible_text(page: str) -> str:
	"""What a person would read of an answer, on one line."""
	return " ".join(_MARKUP.sub(" ", page).split())


def _contains_json(text: str, wanted: Any) -> bool:
	try:
		return _contains(json.loads(text), wanted)
	except ValueError:
		return False


def _contains(found: Any, wanted: Any) -> bool:
	"""Whether `wanted` is a fragment of `found`: objects by their keys, everything else by equality."""
	if isinstance(wanted, dict) and isinstance(found, dict):
		return all(key in found and _contains(found[key], value) for key, value in wanted.items())
	return type(found) is type(wanted) and found == wanted
