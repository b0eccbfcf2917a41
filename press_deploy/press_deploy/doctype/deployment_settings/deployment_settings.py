# Copyright (c) 2026, press_deploy contributors and contributors
# For license information, please see license.txt
"""What holds for every plan of this site unless the plan says otherwise."""

from frappe import _
from frappe.model.document import Document
from frappe.utils import get_bench_path

from press_deploy.engine.ground import inputs
from press_deploy.engine.ground.errors import DeployError, InputError
from press_deploy.helper.client import HelperClient, find_bench_name, find_socket
from press_deploy.helper.errors import HelperError
from press_deploy.site.input_messages import errors_shown
from press_deploy.site.proofs import describe_last_proof
from press_deploy.site.runners import open_bench


class DeploymentSettings(Document):
	# begin: auto-generated types
	# This code is auto-generated. Do not modify anything in this block.

	from typing import TYPE_CHECKING

	if TYPE_CHECKING:
		from frappe.types import DF

		follow_up_days: DF.Int
		notify: DF.SmallText | None
		object_store_access_key_id: DF.Password | None
		object_store_secret_access_key: DF.Password | None
		object_store_session_token: DF.Password | None
		prove_daily: DF.Check
		safe_directory: DF.Data | None
		snapshot_access_key_id: DF.Password | None
		snapshot_secret_access_key: DF.Password | None
		snapshot_service_account_key: DF.Password | None
		snapshot_session_token: DF.Password | None
		snapshot_token: DF.Password | None
		snapshot_uses_object_store_keys: DF.Check
	# end: auto-generated types

	def validate(self):
		with errors_shown(self):
			try:
				self.safe_directory and inputs.absolute_path(self.safe_directory)
			except ValueError as error:
				why, _sep, remedy = str(error).partition("; ")
				raise InputError("safe_directory", self.safe_directory, why, remedy) from None

	@property
	def last_proof(self) -> str:
		try:
			return describe_last_proof(open_bench())
		except DeployError as error:
			# The form opens wherever the app is installed, and says what is missing there.
			return str(error)

	@property
	def helper_socket(self) -> str:
		return find_socket(get_bench_path())

	@property
	def helper_status(self) -> str:
		try:
			HelperClient(self.helper_socket, find_bench_name(get_bench_path()), timeout_seconds=2).status()
		except HelperError:
			return _("Not reachable: runs use the bench user's own rights")
		return _("Reachable")
