// The live view of a run. It asks the journal on disk, not the record, and goes on asking while the site
// itself is in maintenance mode and answers 503.

frappe.provide("press_deploy");

press_deploy.RunProgress = class RunProgress {
	static INTERVAL = 2000;
	static LOGGED_OUT = "logged out";
	static PHASES = ["preflight", "prepare", "deploy", "validate", "open", "monitor", "close"];
	static COLORS = { done: "green", announced: "blue", failed: "red", skipped: "gray" };
	static STATES = {
		Running: "blue",
		Waiting: "orange",
		"Rolling Back": "orange",
		Succeeded: "green",
		"Rolled Back": "yellow",
		Fatal: "red",
		Refused: "red",
		Checked: "cyan",
	};

	constructor($wrapper, run) {
		Object.assign(this, { $wrapper, run, progress: null, timer: null });
	}

	stop() {
		clearTimeout(this.timer);
		this.timer = null;
	}

	restart() {
		// A process of its own takes a moment until it says something.
		this.expects_until = Date.now() + 60000;
		setTimeout(() => this.poll(), 1000);
	}

	async poll() {
		this.stop();
		if (!this.is_shown()) return;
		const progress = await this.ask();
		if (progress === RunProgress.LOGGED_OUT) return this.ask_to_log_in();
		if (progress) this.show(progress);
		else this.show_no_answer();
		if (!progress || progress.unfinished || Date.now() < (this.expects_until || 0)) {
			this.timer = setTimeout(() => this.poll(), RunProgress.INTERVAL);
		}
	}

	async ask() {
		// Not frappe.call: it would put up a dialog for every 503.
		try {
			const url = `/api/method/press_deploy.api.progress?run=${encodeURIComponent(this.run)}`;
			const response = await fetch(url, { headers: { Accept: "application/json" } });
			if ([401, 403].includes(response.status)) return RunProgress.LOGGED_OUT;
			return response.ok ? (await response.json()).message : null;
		} catch {
			return null;
		}
	}

	show_no_answer() {
		// What was shown last is not known to hold any more.
		this.is_unanswered = true;
		this.$wrapper.find(".run-state").attr("class", "run-state indicator-pill gray").text(__("No answer"));
		this.$wrapper.find(".run-note").text(__("The site does not answer, it may be in maintenance mode. Asking again…"));
	}

	ask_to_log_in() {
		// A database that went back took the sessions that began after its backup with it.
		const link = `<a href="/login?redirect-to=${encodeURIComponent(window.location.pathname)}">${__("Log in")}</a>`;
		this.$wrapper.find(".run-note").html(`${__("You are logged out: your session is not in the database any more.")} ${link}`);
	}

	show(progress) {
		const before = this.progress;
		// Nothing is drawn anew under the reader's hands unless there is something new.
		if (!this.is_unanswered && JSON.stringify(progress) === JSON.stringify(before)) return;
		this.progress = progress;
		this.is_unanswered = false;
		this.$wrapper.html(this.render(progress));
		const log = this.$wrapper.find(".run-log")[0];
		if (log) log.scrollTop = log.scrollHeight;
		this.on_change(progress);
		if (before?.unfinished && !progress.unfinished) this.on_end();
	}

	render(progress) {
		return `<div class="run-progress">
			${this.render_head(progress)}
			${this.render_bar(progress)}
			${this.render_phases(progress)}
			${this.render_losses(progress)}
			${this.render_steps(progress.steps)}
			${this.render_log(progress)}
		</div>`;
	}

	render_head({ state, step, reason, downtime_seconds, alive, unfinished, dry_run }) {
		const escape = frappe.utils.escape_html;
		const color = RunProgress.STATES[state] || "gray";
		const facts = [
			dry_run ? __("Dry run: nothing is changed") : "",
			downtime_seconds ? __(unfinished ? "Downtime so far: {0} s" : "Downtime: {0} s", [downtime_seconds.toFixed(1)]) : "",
			unfinished && !alive && state !== "Waiting" ? __("No runner is at work") : "",
		].filter(Boolean);
		return `<div class="flex align-center justify-between mb-2">
				<div><span class="run-state indicator-pill ${color}">${__(state)}</span>
				<span class="bold ml-2">${escape(unfinished && step ? __(step) : "")}</span></div>
				<span class="text-muted small">${facts.map(escape).join(" · ")}</span>
			</div>
			<div class="run-note text-muted mb-2">${escape(reason || "")}</div>`;
	}

	render_bar({ percent, state, unfinished }) {
		const color = RunProgress.STATES[state] || "gray";
		const moving = unfinished && state !== "Waiting" ? "progress-bar-striped progress-bar-animated" : "";
		return `<div class="progress mb-3" style="height: 8px">
			<div class="progress-bar ${moving}" role="progressbar" aria-valuenow="${percent}" aria-valuemin="0"
				aria-valuemax="100" style="width: ${percent}%; background-color: var(--${color}-500)"></div>
		</div>`;
	}

	render_phases({ steps, phase, unfinished }) {
		const known = new Set(steps.map((step) => step.phase));
		const shown = [...RunProgress.PHASES, ...(known.has("rollback") ? ["rollback"] : [])];
		const pill = (name) => {
			const color = name === phase && unfinished ? "blue" : known.has(name) ? "green" : "gray";
			const failed = steps.some((step) => step.phase === name && step.status === "failed");
			return `<span class="indicator-pill no-indicator-dot ${failed ? "red" : color} mr-1">${__(frappe.unscrub(name))}</span>`;
		};
		return `<div class="mb-3">${shown.map(pill).join("")}</div>`;
	}

	render_losses({ losses }) {
		if (!losses) return "";
		return `<div class="mb-3 p-3 border rounded">
			<div class="bold">${__("Rolling the database back would lose this. Somebody has to read and approve it.")}</div>
			${press_deploy.render_losses(losses.sites)}
		</div>`;
	}

	render_steps(steps) {
		if (!steps.length) return `<p class="text-muted">${__("No step has begun yet.")}</p>`;
		const escape = frappe.utils.escape_html;
		const row = (step) => `<tr>
			<td style="width: 30%"><span class="indicator ${RunProgress.COLORS[step.status]}">${escape(__(step.title))}</span></td>
			<td style="overflow-wrap: anywhere">${escape(step.error ? `${step.error.why} ${step.error.remedy}` : step.found || "")}</td>
			<td class="text-right text-muted" style="width: 80px; white-space: nowrap">${this.describe_seconds(step)}</td>
		</tr>`;
		return `<table class="table table-sm small mb-3" style="table-layout: fixed"><tbody>${steps.map(row).join("")}</tbody></table>`;
	}

	render_log({ log, step, unfinished }) {
		if (!log.length) return "";
		const text = log.map(frappe.utils.escape_html).join("\n");
		return `<div class="text-muted small mb-1">${__("Log: {0}", [frappe.utils.escape_html(__(step))])}</div>
			<pre class="run-log small" style="max-height: ${unfinished ? 320 : 200}px; overflow: auto">${text}</pre>`;
	}

	describe_seconds({ started, ended, status }) {
		if (!ended || status === "skipped") return "";
		return `${((new Date(ended) - new Date(started)) / 1000).toFixed(1)} s`;
	}
};
