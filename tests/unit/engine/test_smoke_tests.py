"""What a smoke test says it wanted, and what a step says when a safe place took nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from press_deploy.engine.bench.answer import Answer
from press_deploy.engine.databases import backup_files
from press_deploy.engine.ground.errors import StepFailed
from press_deploy.engine.plan.spec import HttpCheck
from press_deploy.engine.steps.backup import CopyToSafePlaces
from press_deploy.engine.steps.http_checks import check_http

BODY = '{"message": "7.0.0"}'


@pytest.mark.parametrize(
	("expected", "wanted"),
	[
		({}, "200"),
		({"expected_json": {"message": "8.0.0"}}, '200 with {"message": "8.0.0"}'),
		({"expected_text": "8.0.0", "maximum_latency_ms": 500.0}, "200 within 500 ms with the text '8.0.0'"),
		({"expected_text": "7", "expected_json": {}}, "200 with the text '7' and with {}"),
	],
	ids=["status", "json", "text", "both"],
)
def test_what_was_wanted_is_named(expected: dict[str, Any], wanted: str) -> None:
	web: Any = SimpleNamespace(ask=lambda *_, **__: Answer(0.0, 200, "good", 6.0, BODY))
	found = check_http(web, "shop", HttpCheck(name="Version", path="/v", **expected), None)
	assert (found.threshold, found.value) == (wanted, "200 in 6 ms")
	assert found.holds is ("8.0.0" not in wanted)


def test_the_place_that_took_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
	class Full:
		def describe(self) -> str:
			return "directory /mnt/safe"

		def store(self, *_: Any) -> list:
			raise StepFailed("Copying to", "/mnt/safe/x", "there is no space left there", "free space there")

	monkeypatch.setattr(backup_files, "files_to_keep", lambda directory: [])
	run: Any = SimpleNamespace(
		directory=SimpleNamespace(backup_of=lambda site: Path("/x")),
		measure=lambda what: None,
		bench=SimpleNamespace(name="bench"),
		name="run",
	)
	with pytest.raises(StepFailed) as caught:
		CopyToSafePlaces(None)._store(run, Full(), "shop")
	assert caught.value.why == "directory /mnt/safe: there is no space left there"
	assert caught.value.remedy == "free space there"
