"""`press-deploy judge`: what limits do to releases, before they do it to one of yours."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from press_deploy.cli.guard import translate_errors
from press_deploy.engine.plan.spec import Thresholds, parse_plan
from press_deploy.engine.verdict.simulation import Release, simulate, summarise
from press_deploy.engine.verdict.traffic import Limits


@click.command()
@click.option(
	"--simulate", "is_simulated", is_flag=True, required=True, help="Make up releases and visitors."
)
@click.option(
	"--windows", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="How many releases."
)
@click.option(
	"--rate",
	type=click.FloatRange(0.01, 1000),
	default=1.0,
	show_default=True,
	help="Visitors' requests a second.",
)
@click.option(
	"--error-rate",
	type=click.FloatRange(0, 1),
	default=0.01,
	show_default=True,
	help="The release's true share of failed answers, 0 to 1.",
)
@click.option(
	"--slowdown",
	type=click.FloatRange(0.1, 100),
	default=1.0,
	show_default=True,
	help="How many times longer its answers truly take than before.",
)
@click.option(
	"--seconds",
	type=click.FloatRange(5, 86_400),
	default=1800.0,
	show_default=True,
	help="How long each is watched.",
)
@click.option(
	"--seed", type=int, default=1, show_default=True, help="The same seed makes up the same visitors."
)
@click.option(
	"--plan",
	type=click.Path(exists=True, dir_okay=False, path_type=Path),
	help="Take the limits of this plan spec instead of the defaults.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@translate_errors
def judge(
	is_simulated: bool,
	windows: int,
	rate: float,
	error_rate: float,
	slowdown: float,
	seconds: float,
	seed: int,
	plan: Path | None,
	as_json: bool,
) -> None:
	"""Say how often releases of a known kind are rolled back by given limits, and after how long.

	Visitors come by chance over several routes; what they wait for is skewed, and slower or faster for seconds at a
	time. Beside it stands what the limits would do word for word, minute by minute.

	\b
	--json: {"windows", "seed", "rate", "error_rate", "slowdown", "seconds", "share_rolled_back" (0 to 1),
	"median_seconds" (to the rollback; null without any), "share_within_600_seconds",
	"literally": {"share_rolled_back", "median_seconds"}}
	"""
	thresholds = parse_plan(plan.read_bytes()).thresholds if plan else Thresholds()
	limits = Limits(thresholds.error_rate_percent / 100, thresholds.latency_degraded_percent / 100)
	release = Release(rate, error_rate, slowdown, seconds)
	found = summarise(simulate(release, limits, windows, seed))
	facts = {"windows": windows, "seed": seed, **asdict(release), **found}
	click.echo(json.dumps(facts) if as_json else _describe(facts, limits))


def _describe(facts: dict, limits: Limits) -> str:
	literally = facts["literally"]
	return "\n".join(
		(
			f"{facts['windows']:,} releases at {facts['rate']:g} requests a second; {100 * facts['error_rate']:g} % of "
			f"answers fail, and they take {facts['slowdown']:g} times as long as before.",
			f"Limits: {100 * limits.error_rate:g} % of errors, {100 * limits.slowdown:g} % slower.",
			f"Rolled back: {_share(facts)}",
			f"By the limits word for word, minute by minute: {_share(literally)}",
		)
	)


def _share(facts: dict) -> str:
	seconds = facts["median_seconds"]
	return f"{100 * facts['share_rolled_back']:.2f} %" + (
		f", half of them within {seconds:g} s" if seconds else ""
	)
