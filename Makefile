# One command per chore; CI calls the same ones. `make help` lists them.

VENV := .venv
PY := $(VENV)/bin/python
BOOTSTRAP_PYTHON ?= python3 python3.12 python3.11 python3.13
PYTHON_CHECK := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

# The stamp carries a checksum of what it was installed from: an edited file asks for a new set-up,
# a fresh time stamp (a checkout, a copy) does not.
INPUTS_SUM := $(shell cat pyproject.toml constraints.txt 2>/dev/null | cksum | tr -d ' \t')
STAMP := $(VENV)/.complete-$(INPUTS_SUM)

TARGET ?= release:0.5.23
GRID ?= quick
OUT ?= results/bench
PYTEST_ARGS ?=
RESULTS ?= results
REPORT_OUT ?= results/report

.PHONY: help setup bench report test test-releases test-slow lint format constraints clean

help:  ## list the chores
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1  \2/p' $(MAKEFILE_LIST) | awk '{n=$$1; $$1=""; printf "  %-14s%s\n", n, $$0}'

setup: $(STAMP)  ## create .venv with exact versions (a no-op when it is up to date)

# The old stamp goes first and the new one comes last: a set-up that was interrupted has none, and
# the next one starts from an empty folder.
$(STAMP):
	@set -e; \
	python=; \
	for candidate in $(BOOTSTRAP_PYTHON); do \
		if "$$candidate" -c '$(PYTHON_CHECK)' >/dev/null 2>&1; then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "setup: none of '$(BOOTSTRAP_PYTHON)' is Python 3.11 or newer with venv and ensurepip." >&2; \
		echo "setup: install one (on Debian also python3-venv), or name it: make setup BOOTSTRAP_PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	if [ -z "$$(find $(VENV) -maxdepth 1 -name '.complete-*' 2>/dev/null)" ]; then \
		echo "setup: creating $(VENV) with $$python"; \
		"$$python" -m venv --clear $(VENV); \
	fi; \
	rm -f $(VENV)/.complete-*; \
	echo "setup: installing the harness (about a minute the first time)"; \
	$(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt hatchling editables; \
	$(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'; \
	touch $@; \
	echo "setup: done"

bench: setup  ## sweep the quick grid on one release (TARGET=, GRID=, OUT=)
	$(VENV)/bin/exhausters sweep --target $(TARGET) --grid $(GRID) --out $(OUT)

report: setup  ## report on all results there are, newest build against the one before (RESULTS=, REPORT_OUT=)
	$(PY) -m reports build $(RESULTS) --out $(REPORT_OUT)

test: setup  ## the tests that take seconds, the newest release included (PYTEST_ARGS=)
	$(PY) -m pytest -m "not releases and not slow" $(PYTEST_ARGS)

test-releases: setup  ## the tests that run every supported release
	$(PY) -m pytest -m releases $(PYTEST_ARGS)

test-slow: setup  ## the tests that take minutes
	$(PY) -m pytest -m slow $(PYTEST_ARGS)

lint: setup  ## ruff, the formatter in check mode, and the type checker
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: setup  ## let ruff rewrite what it can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# `-m exhausters.targets` is uv with the index settings that pip has on this machine. The build backend is listed
# by hand because no dependency names it. Only the comment lines at the top of the file are kept.
constraints: setup  ## write constraints.txt anew from the ranges in pyproject.toml
	printf 'hatchling>=1.27,<2\neditables\n' > $(VENV)/build-backend.in
	$(PY) -m exhausters.targets pip compile --quiet --upgrade --universal --python-version 3.11 \
		--extra dev --no-header --no-annotate --output-file $(VENV)/constraints.out \
		pyproject.toml $(VENV)/build-backend.in
	{ grep '^#' constraints.txt; cat $(VENV)/constraints.out; } > $(VENV)/constraints.new
	mv $(VENV)/constraints.new constraints.txt

clean:  ## remove .venv and everything the tools left behind
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks .coverage .coverage.* build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
