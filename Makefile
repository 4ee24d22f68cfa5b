# make demo   sets everything up, starts Lakebed, carries real flights from devices to a report, shows the result
# make test   sets up and passes everything hermetic
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.setup

.PHONY: setup demo test test-all check bench api ledger docs lock web clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Lakebed needs Python 3.11 or newer; set PYTHON=..." if sys.version_info < (3, 11) else 0)'
	@echo "lakebed: making .venv (about a minute from a warm package cache)"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q --require-hashes -r requirements.lock
	$(BIN)/pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup
	@$(BIN)/lakebed demo

test: setup check
	$(BIN)/pytest -m "not slow"

test-all: setup check
	$(BIN)/pytest

check: setup
	$(BIN)/ruff check src tests tools examples bench
	$(BIN)/ruff format --check src tests tools examples bench
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/gen_api.py --check
	$(BIN)/python -m tools.ledger --check
	$(BIN)/python -m tools.settings_doc --check

bench: setup
	$(BIN)/python -m bench

api: setup
	$(BIN)/python tools/gen_api.py --all

ledger: setup
	$(BIN)/python -m tools.ledger
	$(BIN)/python -m tools.settings_doc

lock:
	$(BIN)/python tools/lock.py

web:
	cd web && npm ci --no-audit --no-fund && npm run build

clean:
	rm -rf .venv .bench build dist
