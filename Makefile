# `make demo` and `make test` do all the set-up by themselves: a virtual environment of their own in .venv.
# Missing Debian packages (venv, git) are installed where that is allowed, else named.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MONITOR ?= 10
# More than there are processors: most of the time, the tests wait for real services.
WORKERS ?= 6

# How many releases of each kind `make bench` makes up to see what becomes of them: all processors, for half an hour.
WINDOWS ?= 10000

# What tests write needs no disk, where there is room for it in memory (MB); their servers' data is there anyway.
ROOM := $(shell df --output=avail --block-size=M /dev/shm 2>/dev/null | tail -n 1 | tr -dc 0-9)
test test-full: export TMPDIR := $(shell [ "$(ROOM)" -gt 6000 ] 2>/dev/null && echo /dev/shm || echo "$${TMPDIR:-/tmp}")

# Else each of some ten thousand processes would compile anew what it imports, where that is set.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-full lint bench clean

demo: $(VENV)/installed
	$(BIN)/press-deploy demo --monitor $(MONITOR)

# test-full: also what repeats another test, as a point of a step whose state is that of the point before.
test-full: SELECTED := -m ""
test test-full: $(VENV)/installed $(VENV)/servers lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(SELECTED)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/installed $(VENV)/servers
	$(BIN)/python -m tests.benchmarks
	$(BIN)/python -m tests.benchmarks.databases
	$(BIN)/python -m tests.benchmarks.verdicts $(WINDOWS)

clean:
	rm -rf $(VENV)

$(VENV)/installed: pyproject.toml
	@command -v git >/dev/null && $(PYTHON) -c "import ensurepip" 2>/dev/null || $(MAKE) --no-print-directory packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[demo,test]"
	@touch $@

# What the tests run for real beside Python: MariaDB, rsync over ssh.
$(VENV)/servers: $(VENV)/installed
	@PATH="$$PATH:/usr/sbin"; for program in mariadbd mariadb-dump mariadb-backup mbstream sshd rsync; do \
		command -v $$program >/dev/null || { $(MAKE) --no-print-directory servers; break; }; \
	done
	@touch $@

.PHONY: packages servers
SERVERS := mariadb-server mariadb-client mariadb-backup openssh-server openssh-client rsync
servers:
	@if [ "$$(id -u)" = 0 ]; then apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(SERVERS) >/dev/null; \
	else echo "Install these first: sudo apt-get install $(SERVERS)" >&2; exit 2; fi

packages:
	@if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -qq -y git python3-venv >/dev/null; \
	else echo "Install these first: sudo apt-get install git python3-venv" >&2; exit 2; fi
