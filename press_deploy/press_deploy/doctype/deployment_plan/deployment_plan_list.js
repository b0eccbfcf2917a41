frappe.listview_settings["Deployment Plan"] = {
	add_fields: ["status"],
	has_indicator_for_draft: true,
	has_indicator_for_cancelled: true,
	get_indicator(doc) {
		const colors = { Draft: "gray", Approved: "blue", Deployed: "green", Cancelled: "red" };
		return [__(doc.status), colors[doc.status], `status,=,${doc.status}`];
	},
};
