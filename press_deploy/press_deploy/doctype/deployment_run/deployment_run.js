// Copyright (c) 2026, press_deploy contributors and contributors
// For license information, please see license.txt

frappe.ui.form.on("Deployment Run", {
	onload(frm) {
		frappe.realtime.on("press_deploy_progress", ({ run }) => {
			if (run === frm.doc.name) frm.live?.poll();
		});
	},

	refresh(frm) {
		frm.disable_save();
		["steps", "checks", "conditions", "follow_up"].forEach((table) => press_deploy.show_whole_rows(frm, table));
		if (frm.live?.run !== frm.doc.name) {
			frm.live?.stop();
			frm.live = new press_deploy.RunProgress(frm.get_field("live").$wrapper, frm.doc.name);
			frm.live.is_shown = () => cur_frm === frm && frm.doc.name === frm.live.run;
			frm.live.on_change = (progress) => show_buttons(frm, progress);
			frm.live.on_end = () => frm.reload_doc();
		}
		// Frappe has just taken the buttons away.
		frm.live.progress = null;
		frm.live.poll();
	},
});

function show_buttons(frm, progress) {
	frm.clear_custom_buttons();
	if (progress.has_report) {
		const url = `/api/method/press_deploy.api.report?run=${encodeURIComponent(frm.doc.name)}`;
		frm.add_custom_button(__("Report"), () => window.open(url));
	}
	if (!frappe.user.has_role(["Deployment Manager", "System Manager"])) return;

	if (frm.doc.follow_up_status === "Open") {
		frm.add_custom_button(__("Sample Now"), () => act(frm, "sample_now"));
	}
	if (progress.unfinished && !progress.alive && progress.state !== "Waiting") {
		frm.add_custom_button(__("Resume"), () => act(frm, "resume"));
	}
	if (progress.state === "Running" && !is_open(progress)) {
		frm.add_custom_button(__("Abort"), () => ask(frm, "abort", __("Stop this run?")));
	}
	// A run that waits for its list to be approved is on its way back already.
	const can_roll_back =
		["Running", "Waiting", "Succeeded", "Fatal"].includes(progress.state) &&
		!progress.dry_run &&
		!progress.losses;
	// The server asks for this role too: what users wrote is lost with a database.
	const may_lose_data = frappe.user.has_role("Deployment Manager");
	// Where the database goes along, the other button shows first what that loses.
	if (can_roll_back && !(may_lose_data && progress.database_goes_along)) {
		frm.add_custom_button(__("Roll Back"), () => ask(frm, "roll_back", __("Roll this run back?")));
	}
	if (may_lose_data && (can_roll_back || progress.database_may_follow)) {
		frm.add_custom_button(__("Roll Back Database…"), () => roll_back_database(frm));
	}
	if (progress.losses) {
		const keep = () => ask(frm, "decide", __("Keep the release, and open the sites again?"), { decision: "go" });
		if (progress.waiting.accepts_go) frm.add_custom_button(__("Keep the Release"), keep);
		if (may_lose_data) {
			frm.add_custom_button(__("Approve and Roll Back"), () => approve(frm, progress, keep)).addClass("btn-danger");
		}
	} else if (progress.state === "Waiting") {
		const decide = (decision, title) => () => ask(frm, "decide", title, { decision });
		frm.add_custom_button(__("NO-GO"), decide("no-go", __("NO-GO: roll this run back?")));
		frm.add_custom_button(__("Approve GO"), decide("go", __("GO: let this run go on?"))).addClass("btn-primary");
	}
}

function is_open(progress) {
	return ["monitor", "close"].includes(progress.phase);
}

async function roll_back_database(frm) {
	const { work } = await frappe.xcall("press_deploy.api.losses", { run: frm.doc.name });
	const { result } = await press_deploy.watch_work(work, __("What would be lost"));
	if (result) confirm_rollback(frm, result);
}

function confirm_rollback(frm, losses, is_changed = false) {
	const progress = frm.live.progress;
	press_deploy.confirm_losses({
		title: progress?.database_may_follow ? __("Roll back the database") : __("Roll back code and database"),
		warning: is_changed ? __("What would be lost is another list now: read it again. Nothing was changed.") : "",
		losses,
		label: __("Roll Back"),
		confirmed: async ({ reason }) => {
			const args = { run: frm.doc.name, reason, database: 1, approves: losses.sha256 };
			const { work } = await frappe.xcall("press_deploy.api.roll_back", args);
			if (!work) return tell_asked(frm, !progress?.unfinished);
			const { state, result } = await press_deploy.watch_work(work, __("Roll back"), { closes_site: true });
			if (result?.sha256) confirm_rollback(frm, result, true);
			else if (state === "done") tell_asked(frm, true);
		},
	});
}

function approve(frm, { losses, waiting }, keep) {
	press_deploy.confirm_losses({
		title: __("Approve what will be lost"),
		losses,
		label: __("Approve and Roll Back"),
		confirmed: ({ reason }) =>
			act(frm, "decide", { decision: "approve", reason, list_sha256: losses.sha256 }),
		otherwise: waiting.accepts_go ? { label: __("Keep the Release"), action: keep } : null,
	});
}

function ask(frm, method, title, args = {}) {
	frappe.prompt(
		{ fieldname: "reason", fieldtype: "Data", label: __("Reason"), reqd: 1, description: __("It stands in the report.") },
		({ reason }) => act(frm, method, { ...args, reason }),
		title,
		__("Confirm")
	);
}

async function act(frm, method, args = {}) {
	const begins = method === "roll_back" && !frm.live.progress?.unfinished;
	await frappe.xcall(`press_deploy.api.${method}`, { run: frm.doc.name, ...args });
	tell_asked(frm, begins);
}

function tell_asked(frm, begins_rollback) {
	frappe.show_alert(
		begins_rollback
			? __("The rollback begins: the site closes now, and opens again when it is over.")
			: __("Asked for. It takes effect between two steps."),
		begins_rollback ? 15 : 7
	);
	frm.live.restart();
}
