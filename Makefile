# `make demo` and `make test` do all the set-up by themselves: a virtual environment of their own in .venv.
# Missing Debian packages (venv, git) are installed where that is allowed, else named.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MONITOR ?= 10
WORKERS ?= 4

.PHONY: demo test lint bench clean

demo: $(VENV)/installed
	$(BIN)/press-deploy demo --monitor $(MONITOR)

test: $(VENV)/installed lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/installed
	$(BIN)/python -m tests.benchmarks

clean:
	rm -rf $(VENV)

$(VENV)/installed: pyproject.toml
	@command -v git >/dev/null && $(PYTHON) -c "import ensurepip" 2>/dev/null || $(MAKE) --no-print-directory packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[demo,test]"
	@touch $@

.PHONY: packages
packages:
	@if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -qq -y git python3-venv >/dev/null; \
	else echo "Install these first: sudo apt-get install git python3-venv" >&2; exit 2; fi
