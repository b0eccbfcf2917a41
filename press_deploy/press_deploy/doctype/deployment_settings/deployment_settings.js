// Copyright (c) 2026, press_deploy contributors and contributors
// For license information, please see license.txt

frappe.ui.form.on("Deployment Settings", {
	refresh(frm) {
		// They are keys of machines: how strong they are is not asked of the server, letter by letter.
		frm.meta.fields
			.filter((field) => field.fieldtype === "Password")
			.forEach((field) => frm.get_field(field.fieldname).disable_password_checks?.());

		if (!frappe.user.has_role(["Deployment Manager", "System Manager"])) return;
		frm.add_custom_button(__("Back Up Now"), () => press_deploy.back_up_now());
		frm.add_custom_button(__("Prove Latest Backup"), async () => {
			await press_deploy.prove_latest_backup();
			frm.reload_doc();
		});
		frm.add_custom_button(__("Backups"), () => frappe.set_route("List", "Deployment Backup"));
	},
});
