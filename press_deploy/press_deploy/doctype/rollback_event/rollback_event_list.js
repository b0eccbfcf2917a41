frappe.listview_settings["Rollback Event"] = {
	add_fields: ["outcome"],
	get_indicator(doc) {
		const colors = {
			"Rolling Back": "orange",
			Waiting: "orange",
			"Rolled Back": "green",
			Abandoned: "gray",
			Fatal: "red",
		};
		return [__(doc.outcome), colors[doc.outcome], `outcome,=,${doc.outcome}`];
	},
};
