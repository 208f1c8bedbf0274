# make demo | test | lint | bench | campaign | nightly | mutants | site | locks | clean; see README.md

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2
TRIES ?= 20
NIGHT ?= 8h
NIGHTLY := nightly-$(shell date -u +%Y%m%d)

.PHONY: suites demo test pythons lint bench campaign nightly mutants site locks clean

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"error: Python 3.11 or later is required, found {v.major}.{v.minor}; try: make PYTHON=python3.12")'
	@echo "creating $(VENV): this takes one or two minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint requirements.lock --editable '.[dev]'
	@touch $@

# Run three members for 30 seconds under kills, pauses and partitions, and write a report.
demo: $(READY)
	$(BIN)/splitbrain run --nodes 3 --workload kv --nemesis kill,pause,partition --time-limit 30

# Lint, make the environments of other CPython versions, and run all tests except the long ones.
test: lint pythons
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not campaign" --hypothesis-profile suite

# Make an environment for each other installed CPython version, to compare digests with.
pythons: $(READY)
	@$(BIN)/python -m tests.pythons

# Install the test suites of clients that others wrote for etcd, from PyPI, for their tests.
suites: $(READY)
	@$(BIN)/python -m tests.client_suites install

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@! git grep -nE '^(<<<<<<< |>>>>>>> )' 2>/dev/null || { echo "error: these lines are marks of a merge conflict"; exit 1; }

# Run the benchmarks, and print the figures with their peers and requirements.
bench: $(READY)
	$(BIN)/python -m tests.benchmarks

# Run the long tests, of which `make test` runs only samples.
campaign: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m campaign -o faulthandler_timeout=0

# Run a campaign over this project's store, simulated and as processes, and group the failures. If
# it is started again on the same day, it continues.
nightly: $(READY)
	$(BIN)/splitbrain campaign --time $(NIGHT) --workers $(WORKERS) $(if $(wildcard store/campaigns/$(NIGHTLY)),\
		--resume $(NIGHTLY),--campaign $(NIGHTLY) --system simulated,python_node)

# Measure how soon each planted bug is found, and write docs/reference/mutants-found.md. An
# interrupted measurement is continued.
mutants: $(READY)
	$(BIN)/python -m tests.mutants.table --tries $(TRIES) --workers $(WORKERS) --shrink 20

# Measure what the examples find in stores that others wrote, and write docs/track-record.md:
# make track-record STORE=redis. An interrupted measurement is continued.
track-record: $(READY)
	$(BIN)/python examples/track_record.py $(if $(STORE),--store $(STORE)) $(if $(TRACK_TRIES),--tries $(TRACK_TRIES))

# Build the documentation as a site, in build/site. A link or an anchor without a target is an error.
site: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "the site: build/site/index.html"

# Renew locks/, which adds the hashes of the files to the versions of requirements.lock.
locks: $(READY)
	@mkdir -p locks
	for minor in 11 12 13; do \
		$(BIN)/uv pip compile pyproject.toml --extra dev --constraint requirements.lock --quiet \
			--python-version 3.$$minor --generate-hashes --no-annotate \
			--custom-compile-command "make locks" --output-file locks/python-3.$$minor.txt || exit 1; \
	done

clean:
	rm -rf $(VENV) .venv-3.* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis store
