"""Channels to people: each by itself, and what counts as told."""

import ast
from pathlib import Path

import pytest

from press_deploy.engine import channels
from press_deploy.engine.channels import bell, mail, tell
from press_deploy.engine.channels.base import Message
from press_deploy.engine.channels.through_site import tell_through_site

MESSAGE = Message("Deployment begins", "Run <1>\non shop.example")


class Desk:
	"""A site whose users are Ann, with an address, and Bob without."""

	addresses = {"ann": "ann@example.com", "ann@example.com": "ann@example.com", "x@example.com": "x@example.com"}  # fmt: skip

	def __init__(self, breaks=()):
		self.mails, self.rung, self._breaks = [], [], breaks

	def find_address(self, recipient):
		return self.addresses.get(recipient)

	def find_users(self, recipients):
		return [name for name in ("ann", "bob") if name in recipients]

	def send_mail(self, addresses, message):
		if "mail" in self._breaks:
			raise OSError("no mail account")
		self.mails.append((addresses, message))

	def ring(self, user, message):
		if "bell" in self._breaks:
			raise OSError("no such user")
		self.rung.append((user, message))

	def attempt(self, send):
		try:
			send()
		except OSError as error:
			return [str(error)]
		return []


def test_everybody_is_told_by_every_channel():
	desk = Desk()
	told = tell(desk, ["ann", "bob", "x@example.com"], MESSAGE)
	assert desk.mails == [(["ann@example.com", "x@example.com"], MESSAGE)]
	assert desk.rung == [("ann", MESSAGE), ("bob", MESSAGE)]
	assert (told.sent, told.problems) == (2, ["no mail address: bob"])


def test_without_a_mail_account_users_are_told_and_nobody_counts():
	desk = Desk(breaks=["mail"])
	told = tell(desk, ["ann", "nobody"], MESSAGE)
	assert desk.rung == [("ann", MESSAGE)]
	assert (told.sent, told.problems) == (0, ["no mail address: nobody", "no mail account"])


def test_a_bell_that_is_broken_keeps_no_mail_back():
	desk = Desk(breaks=["bell"])
	told = tell(desk, ["ann"], MESSAGE)
	assert (len(desk.mails), told.sent, told.problems) == (1, 1, ["no such user"])


def test_nothing_is_sent_to_nobody():
	desk = Desk()
	assert mail.send(desk, ["nobody"], MESSAGE).sent == 0 and not desk.mails
	assert bell.send(desk, ["nobody"], MESSAGE).problems == [] and not desk.rung


def test_text_is_no_markup():
	assert MESSAGE.as_html() == "Run &lt;1&gt;<br>on shop.example"


def test_every_file_of_a_channel_is_in_the_table():
	files = {path.stem for path in Path(channels.__file__).parent.glob("*.py")}
	assert {*channels.CHANNELS} == files - {"__init__", "base", "through_site"}


@pytest.mark.parametrize("name", channels.CHANNELS)
def test_no_channel_reaches_past_the_desk(name):
	source = Path(channels.__file__).with_name(f"{name}.py").read_text()
	modules = {node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
	assert "frappe" not in {module.partition(".")[0] for module in modules}


class SiteProcesses:
	def __init__(self, answer):
		self.answer, self.asked = answer, None

	def call(self, task, site, *, timeout, **arguments):
		self.asked = (task, site, arguments)
		return self.answer


def test_the_runner_lets_the_site_tell_them():
	site = SiteProcesses({"sent": 2, "problem": "no mail address: bob"})
	told = tell_through_site(site, "desk.example", ["a", "b"], MESSAGE)
	assert (told.sent, told.problems) == (2, ["no mail address: bob"])
	asked = {"recipients": ["a", "b"], "subject": MESSAGE.subject, "message": MESSAGE.text, "at_once": False}
	assert site.asked == ("notify", "desk.example", asked)


def test_where_nothing_went_wrong_nothing_is_said():
	assert tell_through_site(SiteProcesses({"sent": 1}), "desk.example", ["a"], MESSAGE).problems == []
