# make demo | test | lint | bench | campaign | mutants | clean; see README.md

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 2
TRIES ?= 20

.PHONY: demo test pythons lint bench campaign mutants clean

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"error: Python 3.11 or later is needed, this is {v.major}.{v.minor}; try: make PYTHON=python3.12")'
	@echo "setting up $(VENV): a minute or two, once"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint requirements.lock --editable '.[dev]'
	@touch $@

# 30 seconds of three members under kill, pause and partition, and a report.
demo: $(READY)
	$(BIN)/splitbrain run --nodes 3 --workload kv --nemesis kill,pause,partition --time-limit 30

test: lint pythons
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not campaign"

# Other versions of CPython, as far as they are installed, to compare digests with.
pythons: $(READY)
	@$(BIN)/python -m tests.pythons

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m tests.benchmarks

# The long runs that `make test` only samples.
campaign: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m campaign

# How soon each planted bug is found, into docs/reference/mutants-found.md; goes on where it broke off.
mutants: $(READY)
	$(BIN)/python -m tests.mutants.table --tries $(TRIES) --workers $(WORKERS) --shrink 20

clean:
	rm -rf $(VENV) .venv-3.* build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis store
