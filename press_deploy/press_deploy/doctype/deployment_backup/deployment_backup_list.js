frappe.listview_settings["Deployment Backup"] = {
	add_fields: ["rung"],
	hide_name_column: true,
	get_indicator(doc) {
		const rung = doc.rung || "0 nothing";
		const color = ["red", "orange", "orange", "blue", "green", "green"][cint(rung[0])];
		return [__(rung), color, `rung,=,${rung}`];
	},
	onload(listview) {
		if (!frappe.user.has_role(["Deployment Manager", "System Manager"])) return;
		const then_refresh = (work) => async () => {
			await work();
			listview.refresh();
		};
		listview.page.add_inner_button(__("Back Up Now"), then_refresh(press_deploy.back_up_now));
		listview.page.add_inner_button(__("Prove Latest Backup"), then_refresh(press_deploy.prove_latest_backup));
	},
};
