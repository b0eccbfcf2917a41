// Copyright (c) 2026, press_deploy contributors and contributors
// For license information, please see license.txt

frappe.ui.form.on("Deployment Settings", {
	refresh(frm) {
		frm.add_custom_button(__("Back Up Now"), async () => {
			await frappe.xcall("press_deploy.api.back_up_now");
			frappe.show_alert(__("The backup is queued; you will be notified of its outcome."));
		});
	},
});
