"""The jobs behind the buttons: a real backup of a real site, proven, shown, and shown again after a restore."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

BACKUPS = (
	"result = frappe.get_all('Deployment Backup', {'run': ('is', 'not set')}, ['name', 'rung', 'directory'])"
)


@pytest.fixture
def only_my_backups(site):
	"""What the test makes is gone afterwards, and what was there before stays."""
	directory = site.bench / "deployments" / "backups" / site.name
	last_proof = site.path / "private" / "press_deploy_last_proof.json"
	before = {*directory.glob("*")}
	yield
	for path in {*directory.glob("*")} - before:
		shutil.rmtree(path)
	last_proof.unlink(missing_ok=True)
	site.execute("from press_deploy import jobs\njobs.repair_records()")


def find_new(site, before: list[dict]) -> dict:
	known = {record["name"] for record in before}
	(new,) = [record for record in site.execute(BACKUPS) if record["name"] not in known]
	return new


def test_a_backup_is_made_proven_and_shown_again_after_its_record_was_lost(site, only_my_backups):
	before = site.execute(BACKUPS)
	made = site.execute(
		"from press_deploy import api, jobs\njobs.back_up(user='Administrator')\n"
		"result = api.work('press-deploy-backup')"
	)
	assert made["state"] == "done" and made["lines"], made
	new = find_new(site, before)
	assert new["rung"] == "2 whole"
	manifest = json.loads((Path(new["directory"]) / "manifest.json").read_text())
	kinds = {file["kind"] for file in manifest["files"]}
	assert {"config", "public_files", "private_files"} <= kinds and kinds & {"database", "physical"}

	proven = site.execute(
		"from press_deploy import api, jobs\njobs.prove(user='Administrator')\n"
		"result = [api.work('press-deploy-proof')['state'], api.last_proof(),"
		" frappe.get_single('Deployment Settings').last_proof]"
	)
	assert proven[0] == "done" and proven[1].startswith("Passed") and new["directory"] in proven[2]
	outcomes = f"result = dict(frappe.get_all('Deployment Backup Proof', {{'parent': {new['name']!r}}}, ['rung', 'outcome'], as_list=True))"
	assert site.execute(outcomes)["4 restorable"] == "Passed"

	# As `bench restore` of an older backup leaves it.
	site.execute(f"frappe.delete_doc('Deployment Backup', {new['name']!r}, force=True)")
	site.execute("from press_deploy import jobs\njobs.repair_records()")
	assert find_new(site, before)["name"] == new["name"]
	assert site.execute(outcomes)["4 restorable"] == "Passed"


def test_the_commands_of_the_bench_reach_those_of_the_console_script(site, only_my_backups, tmp_path):
	def bench(*arguments: str) -> subprocess.CompletedProcess:
		command = [site.bench / "env" / "bin" / "python", "-m", "frappe.utils.bench_helper", "frappe"]
		return subprocess.run(
			[*command, "--site", site.name, "press-deploy", *arguments],
			cwd=site.bench / "sites",
			capture_output=True,
			text=True,
		)

	made = bench("backup", "--without-files", "--method=frappe")
	assert made.returncode == 0 and "rung 2 (whole)" in made.stdout, made.stdout + made.stderr
	listed = bench("backup", "--list")
	assert listed.returncode == 0 and site.name in listed.stdout
	cut = tmp_path / "cut.sql"
	cut.write_text("-- MariaDB dump 10.19\nCREATE TABLE `tabX` (")
	refused = bench("prove", str(cut))
	assert refused.returncode == 1 and "reached: rung 1 (made)" in refused.stdout, (
		refused.stdout + refused.stderr
	)
	for command in (("losses", "nonsense"), ("decide", "nonsense", "approve", "--list=" + "a" * 64)):
		refused = bench(*command)
		assert refused.returncode == 2 and "nonsense" in refused.stderr
	refused = bench("rollback", "nonsense", "--database", "--approve=" + "a" * 64)
	assert refused.returncode == 2 and "nonsense" in refused.stderr
	assert "--although-fatal" in bench("standby", "--help").stdout
	log = tmp_path / "web.error.log"
	log.write_text("2026-01-31 22:00:00,000 ERROR frappe order 4711 is stuck\n")
	assert "order 4711 is stuck" in bench("errors", str(log)).stdout
	assert "Rolled back: 100.00 %" in bench("judge", "--simulate", "--windows=1", "--error-rate=1").stdout


def test_every_command_of_the_console_script_has_its_twin(site):
	missing = (
		"from press_deploy import commands\nfrom press_deploy.cli.main import COMMANDS\n"
		"result = sorted(set(COMMANDS) - set(commands.press_deploy.commands))"
	)
	assert site.execute(missing) == ["demo", "helper"]
