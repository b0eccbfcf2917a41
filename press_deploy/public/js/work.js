// Work that goes on in a background job: its lines in a dialog, until it is done. Closing the dialog does not
// end the work; whoever started it is notified.

frappe.provide("press_deploy");

press_deploy.INTERVAL = 1500;

// Resolves with { state, result }; without a result when the dialog was closed, or the work failed (which the dialog
// says). `closes_site`: the work ends with closing this site, which then answers no more.
press_deploy.watch_work = function (work, title, { closes_site = false } = {}) {
	return new Promise((resolve) => {
		const dialog = new frappe.ui.Dialog({ title, size: "large" });
		const $body = $(`<div>
			<div class="progress mb-3" style="height: 8px">
				<div class="progress-bar progress-bar-striped progress-bar-animated" style="width: 100%"></div>
			</div>
			<p class="work-error text-danger" style="white-space: pre-wrap" hidden></p>
			<pre class="work-lines small" style="max-height: 320px; overflow: auto" hidden></pre>
			<p class="work-note text-muted small">${__("You may close this. You will be notified of the outcome.")}</p>
		</div>`).appendTo(dialog.body);
		let timer = null;
		let is_closed = false;
		let outcome = {};
		const heard = (message) => message.work === work && poll();
		dialog.onhide = () => {
			is_closed = true;
			clearTimeout(timer);
			frappe.realtime.off("press_deploy_work", heard);
			resolve(outcome);
		};
		dialog.show();
		// A line shows at once; where there is no socket, the timer alone goes on asking.
		frappe.realtime.on("press_deploy_work", heard);
		poll();

		async function poll() {
			clearTimeout(timer);
			const answer = await ask();
			if (is_closed) return;
			if (answer) show(answer);
			if (["done", "failed"].includes(answer?.state)) {
				outcome = answer;
				// A dialog that is still fading in can't be hidden.
				if (answer.result) setTimeout(() => dialog.hide(), 600);
				return;
			}
			clearTimeout(timer);
			timer = setTimeout(poll, press_deploy.INTERVAL);
		}

		async function ask() {
			// Not frappe.call: it would put up a dialog for every 503 of a site that is being deployed.
			try {
				const url = `/api/method/press_deploy.api.work?name=${encodeURIComponent(work)}`;
				const response = await fetch(url, { headers: { Accept: "application/json" } });
				if (closes_site && response.status === 503) {
					return { state: "done", lines: [], error: "", result: { closed: true } };
				}
				return response.ok ? (await response.json()).message : null;
			} catch {
				return null;
			}
		}

		function show({ state, lines, error }) {
			const is_over = ["done", "failed"].includes(state);
			const color = { done: "green", failed: "red" }[state] || "blue";
			$body
				.find(".progress-bar")
				.toggleClass("progress-bar-striped progress-bar-animated", !is_over)
				.css("background-color", `var(--${color}-500)`);
			// text() escapes: what a job says may hold names that people made up.
			$body.find(".work-lines").text(lines.join("\n")).prop("hidden", !lines.length);
			$body.find(".work-error").text(error).prop("hidden", !error);
			const words = { queued: __("Waiting for a worker…"), done: __("Done."), failed: __("Failed.") };
			if (words[state]) $body.find(".work-note").text(words[state]);
			else $body.find(".work-note").text(__("At work. You may close this; you will be notified of the outcome."));
			const pre = $body.find(".work-lines")[0];
			pre.scrollTop = pre.scrollHeight;
		}
	});
};

press_deploy.back_up_now = async function () {
	const { work } = await frappe.xcall("press_deploy.api.back_up_now");
	return press_deploy.watch_work(work, __("Back Up Now"));
};

press_deploy.prove_latest_backup = async function () {
	const { work } = await frappe.xcall("press_deploy.api.prove_latest_backup");
	return press_deploy.watch_work(work, __("Prove Latest Backup"));
};
