// Copyright (c) 2026, press_deploy contributors and contributors
// For license information, please see license.txt

frappe.ui.form.on("Deployment Plan", {
	refresh(frm) {
		show_forbidden(frm);
		if (frm.is_new() || !frappe.user.has_role(["Deployment Manager", "System Manager"])) return;

		if (frm.doc.docstatus < 2) {
			frm.add_custom_button(__("Dry Run"), () => launch(frm, "dry_run"));
		}
		if (frm.doc.docstatus === 1 && frm.doc.status === "Approved") {
			frm.add_custom_button(__("Start"), () => confirm_start(frm)).addClass("btn-primary");
		}
		if (frm.doc.test_site === frappe.boot.sitename) {
			frm.add_custom_button(__("Run Critical Tests Now"), () => run_critical_tests(frm));
		}
	},
});

// What the bench's shell user would have to allow, with the command to type. The server refuses it all the same.
function show_forbidden(frm) {
	const forbidden = frm.doc.__onload?.forbidden || [];
	frm.set_intro("");
	if (frm.doc.docstatus < 2 && forbidden.length) frm.set_intro(forbidden.join("<hr>"), "orange");
}

function confirm_start(frm) {
	const sites = frm.doc.sites.map((row) => frappe.utils.escape_html(row.site).bold()).join(", ");
	frappe.confirm(
		__("Start the deployment of {0} on {1}? The sites will be in maintenance mode for a while.", [
			frappe.utils.escape_html(frm.doc.title).bold(),
			sites,
		]),
		() => launch(frm, "start")
	);
}

async function launch(frm, method) {
	if (frm.is_dirty()) await frm.save(frm.doc.docstatus ? "Update" : undefined);
	const { run } = await frappe.xcall(`press_deploy.api.${method}`, { plan: frm.doc.name });
	frappe.set_route("Form", "Deployment Run", run);
}

async function run_critical_tests(frm) {
	await frappe.xcall("press_deploy.api.run_critical_tests_now", { plan: frm.doc.name });
	frappe.show_alert(__("The tests are queued; you will be notified of their outcome."));
}
