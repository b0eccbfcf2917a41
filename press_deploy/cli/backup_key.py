"""The key of the configurations in a bench's backups: keep a copy of it, and open one of them with it.

Invariant: the key itself is never shown, only copied to a new file that nobody else may read.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from press_deploy.cli.guard import bench_option, translate_errors
from press_deploy.engine.backup.config_secrets import KEY_NAME, export_key, read_config
from press_deploy.engine.bench.bench import Bench
from press_deploy.engine.ground.errors import InputError


@click.command("backup-key")
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@bench_option
@translate_errors
def backup_key(target: Path, bench_path: str) -> None:
	"""Copy the key that opens the configurations in this bench's backups to the new FILE.

	Keep it where neither the bench nor its backups are: without it, their passwords are lost with the bench.
	"""
	bench = Bench.open(bench_path)
	target = target.absolute()
	if target.exists() or target.is_symlink():
		raise InputError("FILE", str(target), "it is there already", "name a new file")
	if target.resolve().is_relative_to(bench.path):
		raise InputError("FILE", str(target), "it is lost with the bench it is on", "name a file elsewhere")
	bench.deployments.mkdir(mode=0o700, exist_ok=True)
	export_key(bench.deployments / KEY_NAME, target)
	click.echo(f"The key is in {target} as well. Keep it apart from the backups: it opens their passwords.")


@click.command("backup-config")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
	"--key",
	"key_file",
	type=click.Path(exists=True, dir_okay=False, path_type=Path),
	help="The key's copy, where the bench that made the backup is gone.",
)
@bench_option
@translate_errors
def backup_config(file: Path, key_file: Path | None, bench_path: str) -> None:
	"""Print the configuration of a site that is in a backup, FILE, with its passwords in clear."""
	key_file = key_file or Bench.open(bench_path).deployments / KEY_NAME
	click.echo(json.dumps(read_config(file, key_file), indent=1, ensure_ascii=False))
