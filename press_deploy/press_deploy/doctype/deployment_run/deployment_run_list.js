frappe.listview_settings["Deployment Run"] = {
	add_fields: ["state", "dry_run"],
	get_indicator(doc) {
		const colors = {
			Pending: "gray",
			Running: "blue",
			Waiting: "orange",
			"Rolling Back": "orange",
			Succeeded: "green",
			"Rolled Back": "yellow",
			Fatal: "red",
			Refused: "red",
			Aborted: "gray",
			Checked: "cyan",
		};
		return [__(doc.state), colors[doc.state], `state,=,${doc.state}`];
	},
};
