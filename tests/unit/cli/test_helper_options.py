"""What a person says about services on the command line reaches the installation as it was meant."""

from __future__ import annotations

import click
import pytest

from press_deploy.cli.helper import sort_programs


def test_programs_are_sorted_by_role() -> None:
	given = ("web=erp:web", "workers=erp:a", "workers=erp:b=1")
	assert sort_programs(given) == {"web": ["erp:web"], "workers": ["erp:a", "erp:b=1"]}
	assert sort_programs(()) is None


@pytest.mark.parametrize("given", ["web", "web=", "redis=x", "=x", "workers=only"])
def test_what_is_no_role_or_leaves_web_out_is_refused(given: str) -> None:
	with pytest.raises(click.BadParameter, match="web"):
		sort_programs((given,))
