# Needs Python 3.11 or newer, git and make; everything else is installed into
# .venv (and .bench) from the hashed lists in requirements/.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
ARGS ?=
# Tests wait for processes: one more of them than there are processors keeps those busy.
# Another number, or one after the other: make test WORKERS=0
WORKERS ?= $(shell expr `getconf _NPROCESSORS_ONLN` + 1)

BIN := .venv/bin
PIP := python -m pip --disable-pip-version-check install --quiet
OURSELVES := --no-deps --no-build-isolation --editable .
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.PHONY: help demo demo-revenue test explore lint drill bench pictures postgres temporal s3 lock clean

help:  ## what can be made
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' Makefile | expand -t 16

demo: .venv/.run  ## the main job on real data, with a kill and a drift
	$(BIN)/nightproof demo $(ARGS)

demo-revenue: .venv/.revenue  ## the nightly pipeline through 429, 401, 503, resets and kill -9
	PYTHONPATH=examples $(BIN)/python -m daily_revenue.demo $(ARGS)

test: lint  ## lint, then every test except the drills
	$(BIN)/python -m pytest -m "not drill" -n $(WORKERS) --dist worksteal $(ARGS)

drill: .venv/.dev  ## kill processes at every crash point and compare
	$(BIN)/python -m pytest -m drill -n 2 --dist worksteal $(ARGS)

explore: .venv/.dev  ## new random examples for the property tests, many of them
	$(BIN)/python -m pytest -m hypothesis -n 2 \
		--hypothesis-profile=explore --timeout 1800 $(ARGS)

lint: .venv/.dev  ## style, types and import directions
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports

bench: .bench/.all  ## measure against the peers, on this machine
	.bench/bin/python -m compileall -q src
	.bench/bin/python -m bench $(ARGS)

pictures: .venv/.dev  ## the README's pictures, from real runs (needs chromium)
	$(BIN)/python docs/pictures/make.py

# Data, ports and passwords stay in .nightproof/servers. Options: ARGS="--port 5432"
postgres: .venv/.dev  ## a real Postgres in the foreground; says what to export
	@$(BIN)/python -m nightproof.testing.servers postgres --readable \
		--folder .nightproof/servers/postgres $(ARGS)

temporal: .venv/.dev  ## a real Temporal server with its web pages, likewise
	@$(BIN)/python -m nightproof.testing.servers temporal --readable \
		--folder .nightproof/servers/temporal $(ARGS)

s3: .venv/.dev  ## a real S3 server with a bucket, likewise
	@$(BIN)/python -m nightproof.testing.servers s3 --readable \
		--folder .nightproof/servers/s3 $(ARGS)

# run constrains the others, revenue constrains dev: hence the order. Options: ARGS=--upgrade
lock:  ## write requirements/*.txt again from requirements/*.in (needs uv)
	cd requirements && for list in run revenue dev bench; do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
			--no-emit-index-url --no-annotate --no-header $(ARGS) \
			$$list.in --output-file $$list.txt || exit 1; \
	done

clean:  ## remove the environments and every cache
	rm -rf .venv .bench build dist .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis

# An environment is complete when its stamp is newer than the lists it came from.
.venv/.run: requirements/run.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/$(PIP) --require-hashes -r requirements/run.txt
	$(BIN)/$(PIP) $(OURSELVES)
	$(BIN)/python -m compileall -q src
	@touch $@

.venv/.revenue: requirements/revenue.txt .venv/.run
	$(BIN)/$(PIP) --require-hashes -r requirements/revenue.txt
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.run
	$(BIN)/$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

.bench/.all: requirements/bench.txt pyproject.toml
	$(PYTHON) -m venv .bench
	.bench/bin/$(PIP) --require-hashes -r requirements/bench.txt
	.bench/bin/$(PIP) $(OURSELVES)
	@touch $@
