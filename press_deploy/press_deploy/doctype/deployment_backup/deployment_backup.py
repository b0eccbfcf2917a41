# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""A backup on disk, and how well it is proven: a projection, written by press_deploy.site.backup_records."""

from frappe.model.document import Document

from press_deploy.site.projection import refuse_writing_by_hand


class DeploymentBackup(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		from press_deploy.press_deploy.doctype.deployment_backup_proof.deployment_backup_proof import (
			DeploymentBackupProof,
		)

		directory: DF.Data | None
		fingerprint: DF.Data | None
		made: DF.Datetime | None
		megabytes: DF.Float
		method: DF.Data | None
		proof: DF.Table[DeploymentBackupProof]
		run: DF.Link | None
		rung: DF.Literal["0 nothing", "1 made", "2 whole", "3 safe", "4 restorable", "5 bootable"]
		safe_places: DF.SmallText | None
		site: DF.Data | None
	# end: auto-generated types

	# Frappe's own switch: no comment of its removal.
	no_feed_on_delete = True

	def validate(self):
		refuse_writing_by_hand(self)
