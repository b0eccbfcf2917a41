// Copyright (c) 2026, press_deploy contributors and contributors
// For license information, please see license.txt

frappe.ui.form.on("Smoke Test", {
	refresh(frm) {
		frm.set_intro("");
		// Which command the bench's shell user types to allow it.
		if (frm.doc.__onload?.forbidden) frm.set_intro(frm.doc.__onload.forbidden, "orange");
	},
});
