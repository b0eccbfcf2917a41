"""The types that fields of a plan are made of, and the base of its parts.

Invariant: whatever passes them was validated at the edge; unknown fields are refused and no type is guessed.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from press_deploy.engine.ground import inputs

Line = Annotated[str, AfterValidator(inputs.line)]
Text = Annotated[str, AfterValidator(inputs.text)]
PythonCode = Annotated[str, AfterValidator(inputs.python_code)]
SiteName = Annotated[str, AfterValidator(inputs.site)]
AppName = Annotated[str, AfterValidator(inputs.app)]
RelativePath = Annotated[str, AfterValidator(inputs.relative_path)]
AbsolutePath = Annotated[str, AfterValidator(inputs.absolute_path)]
Instant = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(inputs.instant)]
When = Literal["auto", "always", "never"]
Action = Literal["roll_back", "ask"]
Percent = Annotated[float, Field(ge=0, le=100)]


class Frozen(BaseModel):
	"""Unknown fields are refused, types are not guessed, and nothing changes after validation."""

	model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

	def is_default(self, field: str) -> bool:
		"""Whether a field has the value that it has when nobody sets it."""
		return getattr(self, field) == type(self).model_fields[field].default
