// Copyright (c) 2026, press_deploy contributors and contributors
// For license information, please see license.txt

frappe.ui.form.on("Deployment Backup", {
	refresh(frm) {
		frm.disable_save();
		["proof"].forEach((table) => press_deploy.show_whole_rows(frm, table));
	},
});
