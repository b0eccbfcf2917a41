// Copyright (c) 2026, press_deploy contributors and contributors
// For license information, please see license.txt

frappe.ui.form.on("Rollback Event", {
	refresh(frm) {
		frm.disable_save();
		["steps", "losses"].forEach((table) => press_deploy.show_whole_rows(frm, table));
	},
});
