# One command per chore; CI calls the same ones. `make help` lists them.

VENV := .venv
PY := $(VENV)/bin/python
BOOTSTRAP_PYTHON ?= python3 python3.12 python3.11 python3.13
PYTHON_CHECK := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

# The stamp carries a checksum of what it was installed from: an edited file causes a new set-up,
# a new time stamp (a checkout, a copy) does not.
INPUTS_SUM := $(shell cat pyproject.toml constraints.txt 2>/dev/null | cksum | tr -d ' \t')
STAMP := $(VENV)/.complete-$(INPUTS_SUM)
# What the site is built with is installed when it is first built.
DOCS_STAMP := $(VENV)/.docs-$(INPUTS_SUM)
PACKAGE_STAMP := $(VENV)/.package-$(INPUTS_SUM)
RAY_STAMP := $(VENV)/.ray-$(INPUTS_SUM)

TARGET ?= release:0.5.23
GRID ?= quick
OUT ?= results/bench
# A first look stays under a minute without the second pass over each cell, which counts calls and operators.
BENCH_ARGS ?= --no-work
PYTEST_ARGS ?=
RESULTS ?= results
REPORT_OUT ?= results/report
# git excludes the left end of a range: this measures 0.5.21, 0.5.22 and 0.5.23.
ASV_RANGE ?= v0.5.20..v0.5.23
ASV_ARGS ?=
ASV_MACHINE ?=
MIRROR ?= .cache/sglang.git
# Both ends are included, as in 0.5.20..0.5.23; empty means every supported release.
MIRROR_RANGE ?=
# pypi, or a clone of SGLang: a folder or a URL.
MIRROR_FROM ?= pypi
NIGHTLY_OUT ?= results/nightly
# Scripts of a campaign, and its seed. CI plays 1,000.
FUZZ_N ?= 10000
FUZZ_SEED ?= 0
FUZZ_OUT ?= results/fuzz
GATE_JSON ?= results/pytest-benchmark/pytest-benchmark.json
BASE ?=
SGLANG_REPO ?=
ROUNDS ?= 3
TRUST_TARGET ?= release:0.5.23
TRUST_OUT ?= results/trust
# Comparisons of the release with itself.
TRUST_AA ?= 50
TRUST_SEED ?= 1
# Newest versions; empty for those that constraints.txt has.
CONSTRAINTS_ARGS ?= --upgrade
# Where `make package` builds; it is emptied first.
DIST ?= dist

.PHONY: help setup package coverage mirror bench bench-harness real-commits museum conformance gate asv asv-publish fuzz nightly reach-map reach-cover report trust test test-releases test-slow test-browser test-ray lint format docs metrics constraints clean

help:  ## list the chores
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1  \2/p' $(MAKEFILE_LIST) | awk '{n=$$1; $$1=""; printf "  %-14s%s\n", n, $$0}'

setup: $(STAMP)  ## create .venv with exact versions (a no-op when it is up to date)

# The old stamp is removed first and the new one written last: after an interrupted set-up there is none, and
# the next one starts from an empty folder. With flock, two at once take turns.
$(STAMP):
	@set -e; \
	exec 9>$(VENV).lock; if command -v flock >/dev/null; then flock 9; fi; \
	if [ -e $@ ]; then exit 0; fi; \
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
	$(VENV)/bin/exhausters sweep --target $(TARGET) --grid $(GRID) --out $(OUT) $(BENCH_ARGS)

# All three run, even when one fails.
bench-harness: setup  ## what the harness itself costs: pinning, judging a long history, observing; fails above limits (TARGET=)
	@status=0; \
	for bench in bench_lock_refs_scaling bench_detect_history "bench_observation_cost --target $(TARGET)"; do \
		$(PY) -m benchmarks.$$bench || { echo "bench-harness: failed: $$bench" >&2; status=1; }; \
	done; \
	exit $$status

real-commits: setup  ## compare twenty commits of SGLang's history with their parents; hours (SGLANG_REPO=)
	@test -n "$(SGLANG_REPO)" || { echo "real-commits: name a clone of SGLang: SGLANG_REPO=/path/to/sglang" >&2; exit 2; }
	$(PY) -m benchmarks.real_commits --repo "$(SGLANG_REPO)"

fuzz: setup  ## play drawn scripts, judged at every step (TARGET=, FUZZ_N=10000, FUZZ_SEED=, FUZZ_OUT=)
	$(VENV)/bin/exhausters check $(TARGET) --corpus tests/fuzz/corpus --fuzz $(FUZZ_N) --seed $(FUZZ_SEED) \
		--out $(FUZZ_OUT)

conformance: setup  ## run SGLang's own scripted tests, unmodified, on their checkout's scheduler (SGLANG=, CONFORMANCE_ARGS=)
	@test -n "$(SGLANG)" || { echo "conformance: name a checkout of SGLang: SGLANG=/path/to/sglang" >&2; exit 2; }
	$(VENV)/bin/exhausters conformance "$(SGLANG)" $(CONFORMANCE_ARGS)

# Goes on where an earlier one stopped. Pairs of commits are left out without a clone.
museum: setup  ## put historic bugs back, and count those that are found; writes docs/museum.md (SGLANG_REPO=)
	$(PY) -m benchmarks.museum $(if $(SGLANG_REPO),--repo "$(SGLANG_REPO)") --document docs/museum.md

mirror: setup  ## make a history: releases as commits, or commits of a clone (MIRROR=, MIRROR_RANGE=, MIRROR_FROM=)
	$(VENV)/bin/exhausters mirror $(MIRROR_RANGE) --from $(MIRROR_FROM) --into $(MIRROR)

gate: setup  ## the pytest-benchmark suite on one release (TARGET=, GRID=, ROUNDS=, GATE_JSON=)
	mkdir -p $(dir $(GATE_JSON))
	$(PY) -m pytest benchmarks/gate --target $(TARGET) --grid $(GRID) --rounds $(ROUNDS) \
		--benchmark-json=$(GATE_JSON)

# A history is made only if there is none; `make mirror` adds newer releases. asv files results under the name of
# the machine: equal CI machines share one name by ASV_MACHINE.
asv: setup  ## asv over a range of commits; the left end is not in it (ASV_RANGE=v0.5.20..v0.5.23, ASV_ARGS=, ASV_MACHINE=)
	@test -d $(MIRROR) || $(MAKE) --no-print-directory mirror
	@echo "asv: recording the machine"  # it prints its questions, and answers them itself
	@$(PY) -m asv machine --yes $(if $(ASV_MACHINE),--machine $(ASV_MACHINE)) > $(VENV)/asv-machine.log 2>&1 \
		|| { cat $(VENV)/asv-machine.log; exit 1; }
	$(PY) -m asv run $(if $(ASV_MACHINE),--machine $(ASV_MACHINE)) $(ASV_ARGS) "$(ASV_RANGE)"

asv-publish: setup  ## make asv's web pages, in .asv/html
	$(PY) -m asv publish

# Continues after a failure, so that there is a report on whatever was measured. Fails if any step failed or a
# verdict is "worse" or "undecided"; the output says which.
nightly: setup  ## both suites, a report on each, and a verdict if BASE is given (TARGET=, BASE=, GRID=, NIGHTLY_OUT=)
	@status=0; \
	try() { "$$@" || { code=$$?; echo "nightly: exit code $$code: $$*" >&2; status=1; }; }; \
	for side in $(if $(BASE),base) head; do \
		if [ $$side = base ]; then target="$(BASE)"; else target="$(TARGET)"; fi; \
		try $(MAKE) --no-print-directory bench TARGET="$$target" OUT=$(NIGHTLY_OUT)/sweep/$$side BENCH_ARGS=; \
		try $(MAKE) --no-print-directory gate TARGET="$$target" \
			GATE_JSON=$(NIGHTLY_OUT)/pytest-benchmark/$$side.json; \
	done; \
	for suite in sweep pytest-benchmark; do \
		out=$(NIGHTLY_OUT)/report/$$suite; \
		try $(PY) -m reports build $(NIGHTLY_OUT)/$$suite --out $$out \
			$(if $(BASE),--base "$(BASE)" --head "$(TARGET)"); \
	done; \
	$(if $(BASE),try $(PY) -m reports gate $(NIGHTLY_OUT)/sweep/base $(NIGHTLY_OUT)/sweep/head \
		--markdown $(NIGHTLY_OUT)/report/verdict.md --junit $(NIGHTLY_OUT)/report/verdict.xml;) \
	exit $$status

# A map of another pool, or of a build long past, chooses badly: measure it when either has moved on. Where only the pool
# has, `exhausters reach-map --known exhausters/reach/cell_map.json` measures what it lacks.
reach-map: setup  ## measure again which functions each cell of the pool executes; minutes (TARGET=)
	$(VENV)/bin/exhausters reach-map $(TARGET) --grid pool --grid quick --out exhausters/reach/cell_map.json

reach-cover: setup  ## print how much of what the pool executes each stock grid covers
	$(VENV)/bin/exhausters reach-cover

report: setup  ## report and dashboard on all results, newest build against the one before (RESULTS=, REPORT_OUT=)
	$(PY) -m reports build $(RESULTS) --out $(REPORT_OUT)

# Goes on where an earlier one stopped; a folder is of one release and one seed.
trust: setup  ## plant changes, compare a release with itself, write docs/trust.md (TRUST_TARGET=, TRUST_AA=, TRUST_OUT=, TRUST_SEED=)
	$(PY) -m benchmarks.trust --target $(TRUST_TARGET) --aa $(TRUST_AA) --out $(TRUST_OUT) --seed $(TRUST_SEED) \
		--document docs/trust.md

# Without a Chromium the tests of the dashboard are left out, and a line at the end says how many.
test: setup  ## the tests that take seconds, the newest release included (PYTEST_ARGS=)
	$(PY) -m pytest -m "not releases and not slow and not package and not ray" $(PYTEST_ARGS)

test-releases: setup  ## the tests that run every supported release
	$(PY) -m pytest -m releases $(PYTEST_ARGS)

test-slow: setup  ## the tests that take minutes
	$(PY) -m pytest -m slow $(PYTEST_ARGS)

# The sdist is built from the tree and the wheel from the sdist, so what one lacks fails here.
package: $(PACKAGE_STAMP)  ## build sdist and wheel, check both, and use the wheel in an empty environment (DIST=)
	rm -rf $(DIST)
	$(PY) -m build --no-isolation --outdir $(DIST)
	$(PY) -m twine check --strict $(DIST)/*
	$(VENV)/bin/check-wheel-contents $(DIST)/*.whl
	EXHAUSTERS_DIST=$(abspath $(DIST)) $(PY) -m pytest -m package tests/package $(PYTEST_ARGS)

$(PACKAGE_STAMP): $(STAMP)
	@rm -f $(VENV)/.package-*
	@echo "package: installing what builds and checks it"
	@$(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[package]'
	@touch $@

# What runs in workers of the fake engine and in commands that tests start is counted with it; what SGLang's own
# environments execute is not: they have no coverage. One process after the other adds to the same data.
coverage: setup  ## all default tests, with what they execute; fails below 90 % of lines or 85 % of branches
	$(VENV)/bin/coverage erase
	status=0; \
	$(PY) -m coverage run -m pytest -m "not releases and not slow and not package and not ray" $(PYTEST_ARGS) \
		|| status=$$?; \
	$(VENV)/bin/coverage combine --quiet; \
	$(PY) -m tests.coverage_goal && exit $$status

test-browser: setup  ## the tests that open the dashboard in a headless Chromium; fails without one
	EXHAUSTERS_CHROMIUM_REQUIRED=1 $(PY) -m pytest -m browser $(PYTEST_ARGS)

test-ray: $(RAY_STAMP)  ## the tests that start a Ray on this machine, which is installed first
	$(PY) -m pytest -m ray $(PYTEST_ARGS)

$(RAY_STAMP): $(STAMP)
	@rm -f $(VENV)/.ray-*
	@echo "test-ray: installing ray"
	@$(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[ray]'
	@touch $@

lint: setup  ## ruff, the formatter in check mode, the type checker, and who may import whom
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

format: setup  ## let ruff fix and format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

docs: $(DOCS_STAMP)  ## build the site of docs/ into build/site; fails on a warning or a dead link
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	@echo "docs: open build/site/index.html"

$(DOCS_STAMP): $(STAMP)
	@rm -f $(VENV)/.docs-*
	@echo "docs: installing mkdocs"
	@$(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[docs]'
	@touch $@

metrics: setup  ## regenerate docs/metrics.md from the registry
	$(PY) -m exhausters.observe.metrics_document > docs/metrics.new
	mv docs/metrics.new docs/metrics.md

# `-m exhausters.targets` is uv with the index settings that pip has on this machine. The build backend is listed
# by hand because no dependency names it. Only the comment lines at the top of the file are kept; without
# `--upgrade`, versions that are in a range stay as well.
constraints: setup  ## regenerate constraints.txt from the ranges in pyproject.toml (CONSTRAINTS_ARGS= keeps what fits)
	cp constraints.txt $(VENV)/constraints.out
	printf 'hatchling>=1.27,<2\neditables\n' > $(VENV)/build-backend.in
	$(PY) -m exhausters.targets pip compile --quiet $(CONSTRAINTS_ARGS) --universal --python-version 3.11 \
		--extra dev --extra docs --extra package --extra ray --no-header --no-annotate \
		--output-file $(VENV)/constraints.out pyproject.toml $(VENV)/build-backend.in
	{ grep '^#' constraints.txt; cat $(VENV)/constraints.out; } > $(VENV)/constraints.new
	mv $(VENV)/constraints.new constraints.txt

clean:  ## remove .venv and the files that the tools created
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks .coverage .coverage.* build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
