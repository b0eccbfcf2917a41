"""Steps that are tried alone, with as much of a run and its ports as they ask for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from press_deploy.engine import steps
from press_deploy.engine.steps.base import Step

Kind = TypeVar("Kind", bound=Step)


def hand(kind: type[Kind], ports: Any) -> Kind:
	"""A step of this kind; of `ports` it is handed what it says that it needs, and nothing else."""
	wanted = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
	return kind(*(getattr(ports, field.name) for field in wanted))


def apply_instead(name: str, apply: Callable[..., Any], patch: Callable[..., None] = setattr) -> None:
	"""Whoever executes runs from now on calls `apply` where the step of this name is applied."""

	def replace(listed: Callable[[Any], list[Step]]) -> Callable[[Any], list[Step]]:
		def listing(ports: Any) -> list[Step]:
			made = listed(ports)
			for step in made:
				if step.name == name:
					step.apply = apply  # type: ignore[method-assign]
			return made

		return listing

	for listed in ("forward", "rollback", "abandoned_rollback"):
		patch(steps, listed, replace(getattr(steps, listed)))
