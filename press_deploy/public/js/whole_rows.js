// Frappe's grids cut what is longer than a column; of a verdict or a check, the end is what matters.

frappe.provide("press_deploy");

press_deploy.show_whole_rows = function (frm, table) {
	frappe.dom.set_style(
		`.whole-rows .grid-row > .row { height: auto; }
		.whole-rows .grid-static-col { padding-left: 4px !important; padding-right: 4px !important; }
		.whole-rows .rows .grid-static-col { height: auto; max-height: none; }
		.whole-rows .rows .grid-static-col .static-area {
			white-space: normal; overflow: visible; overflow-wrap: anywhere; -webkit-line-clamp: unset;
		}`,
		"press-deploy-whole-rows"
	);
	frm.get_field(table).$wrapper.addClass("whole-rows");
};
