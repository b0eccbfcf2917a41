"""What a release asks for, decided from the files it changes."""

import pytest

from press_deploy.engine.plan.changes import decide

from .support import make_spec

NEEDS = {
	"pyproject.toml": {"requirements"},
	"requirements.txt": {"requirements"},
	"requirements/base.txt": {"requirements"},
	"dev-requirements.txt": set(),
	"setup.py": {"requirements"},
	"shop/public/js/shop.bundle.js": {"build"},
	"shop/public/images/a.png": {"build"},
	"package.json": {"build", "migrate"},
	"yarn.lock": {"build"},
	"pnpm-lock.yaml": {"build"},
	"frontend/src/main.js": {"build"},
	"dashboard/src/pages/Home.vue": {"build"},
	"shop/styles/a.scss": {"build"},
	"shop/shop/doctype/order/order.json": {"migrate"},
	"shop/shop/doctype/order/order.js": set(),
	"shop/shop/doctype/order/order.py": set(),
	"shop/shop/report/sales/sales.json": {"migrate"},
	"shop/patches.txt": {"migrate"},
	"shop/patches/v2/fix.py": {"migrate"},
	"shop/fixtures/role.json": {"migrate"},
	"shop/hooks.py": {"migrate"},
	"README.md": set(),
	"shop/republic.py": set(),
	"shop/patches_of_people.py": set(),
	"é/doctype/é/é.json": {"migrate"},
}


@pytest.mark.parametrize("file,needs", NEEDS.items(), ids=NEEDS)
def test_a_changed_file_asks_for_what_it_needs(file, needs):
	decisions = decide(make_spec(), {"other": ["README.md"], "shop": [file]})
	assert {name for name, decision in decisions.items() if decision["needed"]} == needs
	for name, decision in decisions.items():
		assert (f"shop: {file}" in decision["why"]) is (name in needs) and decision["why"]


@pytest.mark.parametrize("name", ["requirements", "build", "migrate"])
@pytest.mark.parametrize("when,needed", [("always", True), ("never", False)])
def test_the_plan_overrules_the_difference(name, when, needed):
	changed = {"shop": ["pyproject.toml", "package.json"] if when == "never" else []}
	decision = decide(make_spec(**{name: when}), changed)[name]
	assert decision == {"needed": needed, "why": f"the plan says {when}"}


def test_no_difference_asks_for_nothing():
	assert not any(decision["needed"] for decision in decide(make_spec(), {}).values())
