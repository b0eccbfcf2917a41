"""Telling people never fails a deployment."""


def test_without_a_mail_account_it_says_so(site):
	outcome = site.call("notify", recipients=["a@example.com"], subject="x <b>", message="one\ntwo")
	assert outcome["sent"] == 1 or outcome["problem"]


def test_users_are_told_in_desk(site):
	site.call("notify", recipients=["Administrator"], subject="press_deploy site test", message="<script>")
	found = site.execute(
		"result = frappe.get_all('Notification Log', {'subject': 'press_deploy site test'}, pluck='email_content')\n"
		"frappe.db.delete('Notification Log', {'subject': 'press_deploy site test'})"
	)
	assert found == ["&lt;script&gt;"]


def test_unknown_recipients_are_named(site):
	outcome = site.call("notify", recipients=["nobody", "x\ny"], subject="x", message="y")
	assert outcome["sent"] == 0
	assert "nobody" in outcome["problem"]
