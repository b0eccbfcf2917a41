// What a rollback of the database would lose, per site and DocType. Every name in it was made up by somebody,
// so all of it is escaped.

frappe.provide("press_deploy");

press_deploy.ACTIONS = ["created", "changed", "submitted", "cancelled", "deleted"];

press_deploy.render_losses = function (sites) {
	const escape = frappe.utils.escape_html;
	const words = {
		created: __("created"),
		changed: __("changed"),
		submitted: __("submitted"),
		cancelled: __("cancelled"),
		deleted: __("deleted"),
	};

	const render_names = ({ count, names }, action) => {
		const more = count - names.length;
		const text = names.map(escape).join(", ") + (more > 0 ? ` ${__("and {0} more", [more])}` : "");
		return `<div><span class="text-muted">${words[action]}:</span> ${text}</div>`;
	};

	const render_doctype = ([doctype, actions]) => {
		const known = press_deploy.ACTIONS.filter((action) => actions[action]);
		const counts = known.map((action) => `${actions[action].count} ${words[action]}`).join(", ");
		return `<tr>
			<td style="width: 25%" class="bold">${escape(__(doctype))}</td>
			<td style="width: 20%">${counts}</td>
			<td style="word-break: break-word">${known.map((action) => render_names(actions[action], action)).join("")}</td>
		</tr>`;
	};

	const render_other = (title, text) =>
		`<tr><td class="bold">${escape(title)}</td><td colspan="2">${text}</td></tr>`;

	const render_noise = (noise) => {
		const rows = Object.entries(noise || {}).map(([table, [before, after]]) => {
			const more = cint(after) - cint(before);
			return `${escape(table.replace(/^tab/, ""))} ${more > 0 ? "+" : ""}${more}`;
		});
		const text = __("Not listed, as no user's work (rows now, against the backup): {0}", [rows.join(", ")]);
		return rows.length ? `<p class="text-muted small">${text}</p>` : "";
	};

	const render_site = ([site, { documents, singles, other_tables, noise }]) => {
		const rows = Object.entries(documents).map(render_doctype);
		if (singles.length) rows.push(render_other(__("Settings changed"), singles.map(escape).join(", ")));
		const tables = Object.entries(other_tables).map(([table, count]) => `${escape(table)}: ${cint(count)}`);
		if (tables.length) rows.push(render_other(__("Rows of other tables"), tables.join(", ")));
		const body = rows.length
			? `<table class="table table-sm small mb-3"><tbody>${rows.join("")}</tbody></table>`
			: `<p class="text-muted">${__("Nothing would be lost.")}</p>`;
		return `<h6 class="mt-2">${escape(site)}</h6>${body}${render_noise(noise)}`;
	};

	return `<div class="losses" style="max-height: 45vh; overflow: auto">
		${Object.entries(sites).map(render_site).join("")}
	</div>`;
};

// Shows the list, and calls `confirmed({ reason })` once it was ticked as read and a reason was given.
// What comes before a site is closed: `losses` then holds `backup_made` (in the site's time, as the fields
// of its forms) and `command`.
press_deploy.describe_closing = function ({ backup_made, command }) {
	const escape = frappe.utils.escape_html;
	const made = backup_made ? frappe.format(backup_made, { fieldtype: "Datetime" }) : __("before the release");
	return `<p>${__("The database goes back to its backup of {0}.", [`<b>${escape(made)}</b>`])}
		${__("The site closes for it. Users who logged in since then are logged out, maybe you too.")}
		${__("If somebody writes in the moment before it closes, the run waits with the site closed. Desk can't answer it then; this, in a terminal of the bench, says how:")}
		<code style="word-break: break-all">${escape(command)}</code></p>`;
};

press_deploy.confirm_losses = function ({ title, warning, losses, label, confirmed, otherwise }) {
	const dialog = new frappe.ui.Dialog({
		title,
		size: "extra-large",
		fields: [
			{
				fieldname: "intro",
				fieldtype: "HTML",
				options: `${warning ? `<p class="text-danger bold">${warning}</p>` : ""}
				${losses.command ? press_deploy.describe_closing(losses) : ""}<p>${__(
					"What was written since the backup leaves the live database. It stays in quarantine until the follow-up closes, and is exported, so that it can be entered again."
				)}</p>`,
			},
			{ fieldname: "list", fieldtype: "HTML", options: press_deploy.render_losses(losses.sites) },
			{
				fieldname: "hash",
				fieldtype: "HTML",
				options: `<p class="text-muted small" style="word-break: break-all">SHA-256: ${frappe.utils.escape_html(losses.sha256)}</p>`,
			},
			{
				fieldname: "reason",
				fieldtype: "Data",
				label: __("Reason"),
				reqd: 1,
				description: __("It stands in the report."),
			},
			{ fieldname: "was_read", fieldtype: "Check", label: __("I have read what will be lost") },
		],
		primary_action_label: label,
		primary_action({ reason, was_read }) {
			if (!was_read) {
				frappe.show_alert({ message: __("Tick that you have read the list."), indicator: "orange" });
				return;
			}
			dialog.hide();
			confirmed({ reason });
		},
		...(otherwise && {
			secondary_action_label: otherwise.label,
			secondary_action() {
				dialog.hide();
				otherwise.action();
			},
		}),
	});
	dialog.show();
	return dialog;
};
