# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""A place where the backups of a plan are kept, away from the bench."""

from frappe.model.document import Document


class DeploymentPlanSafePlace(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		bucket: DF.Data | None
		credentials: DF.Literal["default", "settings"]
		endpoint_url: DF.Data | None
		host: DF.Data | None
		identity_file: DF.Data | None
		kind: DF.Literal["directory", "s3", "ssh"]
		kms_key_id: DF.Data | None
		parent: DF.Data
		parentfield: DF.Data
		parenttype: DF.Data
		path: DF.Data | None
		port: DF.Int
		prefix: DF.Data | None
		profile: DF.Data | None
		region: DF.Data | None
		server_side_encryption: DF.Literal["", "AES256", "aws:kms"]
	# end: auto-generated types

	pass
