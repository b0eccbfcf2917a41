"""What a plan says about backups: how they are made, where they go, and how well proven they must be.

Invariant: a backup counts as no better than what was shown of it; what the plan leaves open is decided
strictly (see `required_rung`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from press_deploy.engine.plan.fields import AbsolutePath, Frozen, Percent, PythonCode
from press_deploy.engine.plan.safe_places import DirectoryPlace, SafePlaceSpec
from press_deploy.engine.plan.snapshots import Snapshot

# Where the plan says nothing: a migration can only be undone by a backup that was seen to be restorable.
RUNG_TO_MIGRATE, RUNG_OTHERWISE = 4, 3


class Backup(Frozen):
	"""`required_rung`: what must be shown before the window opens; None: 4 where the plan migrates, else 3.

	`config_secrets`: what becomes of the passwords in the copied configuration. `retention_days`: how long a
	run's backup is kept here, and longer while it is followed up. `automatic_rollback`: whether the database may
	be rolled back without a person as long as the sites were not opened since the backup.
	"""

	with_files: bool = True
	method: Literal["auto", "frappe", "stream", "physical"] = "auto"
	required_rung: Annotated[int, Field(ge=1, le=5)] | None = None
	boot_check: PythonCode = ""
	safe_directory: AbsolutePath | None = None
	safe_places: Annotated[list[SafePlaceSpec], Field(max_length=10)] = []
	snapshot: Snapshot | None = None
	config_secrets: Literal["encrypt", "leave_out", "plain"] = "encrypt"
	minimum_free_percent: Percent = 20.0
	retention_days: Annotated[int, Field(ge=1, le=3650)] = 30
	automatic_rollback: bool = True

	@model_validator(mode="after")
	def _has_where_to_go(self) -> Backup:
		if (self.required_rung or 0) >= RUNG_OTHERWISE and not self.places:
			raise ValueError(
				"required_rung 3 and above needs a safe place; name one, or ask for rung 2 (whole, on this disk)"
			)
		return self

	@property
	def places(self) -> list[SafePlaceSpec]:
		"""Every safe place, the directory in short form included."""
		short = [DirectoryPlace(path=self.safe_directory)] if self.safe_directory else []
		return [*short, *self.safe_places]

	def rung_before_window(self, migrates: bool) -> int:
		"""The rung that every site's backup must have reached before the window opens."""
		return self.required_rung or (RUNG_TO_MIGRATE if migrates else RUNG_OTHERWISE)
