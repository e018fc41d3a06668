# Everything a person runs. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup browser demo test check format lock bench bench-demo bench-accuracy bench-beauty bench-kg bench-text bench-serving bench-serving-shops bench-scale tune-accuracy pictures clean

PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)
DEMO_HOME ?= $(CURDIR)/.shopgraph

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed web/shopgraph_web/static/vendor/.installed ## Bring Python packages, Java, Neo4j and browser assets
	@$(BIN)/shopgraph services install

.venv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "error: Python 3.11 to 3.13 is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make setup PYTHON=python3.12"; exit 1; }
	@echo "[1/4] making .venv and installing uv $(UV_VERSION)"
	@$(PYTHON) -m venv .venv || { echo "error: 'python3 -m venv' failed. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) || \
	  { echo "error: uv could not be installed from PyPI. Check the network, then run 'make setup' again."; exit 1; }

.venv/.installed: requirements.lock pyproject.toml | .venv/bin/uv
	@echo "[2/4] installing the locked Python packages (about 6 GB with torch's CUDA build)"
	@$(BIN)/uv pip sync --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock || \
	  { echo "error: a package could not be installed. Check the network and 7 GB of free disk, then run 'make setup' again."; exit 1; }
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --editable .
	@touch $@

web/shopgraph_web/static/vendor/.installed: web/package-lock.json web/package.json | .venv/.installed
	@echo "[3/4] installing the browser assets"
	@cd web && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund --loglevel=error && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent vendor || \
	  { echo "error: the browser assets could not be installed from npm. Check the network, then run 'make setup' again."; exit 1; }
	@touch $@

demo: setup ## Run the whole loop on a year of real purchases, then leave the panel open (DEMO_EXIT=1 ends it)
	@SHOPGRAPH_HOME=$(DEMO_HOME) exec $(BIN)/shopgraph demo

browser: .venv/.installed
	@$(BIN)/python tests/browser/chromium.py

test: setup browser ## Run every test on real services
	@$(BIN)/python -m pytest

check: .venv/.installed ## Lint, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/.installed ## Format the code
	@$(BIN)/ruff check --fix-only --quiet . && $(BIN)/ruff format .

lock: .venv/bin/uv ## Resolve the Python packages anew into requirements.lock
	@$(BIN)/uv pip compile --upgrade --universal --generate-hashes --python-version 3.11 --all-extras \
	  --custom-compile-command "make lock" --quiet pyproject.toml -o requirements.lock

bench: bench-demo bench-accuracy bench-scale ## Run the demo's, accuracy's and scale's benchmarks and write BENCHMARKS.md
	@$(BIN)/python tests/bench/report.py

bench-demo: setup ## Time, memory and accuracy of the demo, rates of import, ingest, export, recommendation and pages
	@$(BIN)/python tests/bench/demo.py

bench-accuracy: .venv/.installed ## Peers, encoders and the learned fusion on the accuracy protocol (BENCH="--only ease" runs some)
	@$(BIN)/python tests/bench/accuracy.py $(or $(BENCH),--fresh)

bench-beauty: .venv/.installed ## Leave-one-out on Amazon Beauty, where --data, by default ../shared/data, holds it (BENCH="--orders ties" runs a part)
	@$(BIN)/python tests/bench/beauty.py $(or $(BENCH),--fresh)

bench-kg: .venv/.installed ## Clicks and rankings on Last.FM and Book-Crossing, where --data, by default ../shared/data, holds them (BENCH="--sets lastfm" runs one)
	@$(BIN)/python tests/bench/kg.py $(BENCH)

bench-text: setup ## New products and search by text and graph, tables of what each part gives (BENCH="--only year" runs a part)
	@$(BIN)/python tests/bench/text.py $(or $(BENCH),--fresh)

bench-serving: setup ## What the serving path is worth, and how fast it answers under load (BENCH=--keep for the load alone)
	@$(BIN)/python tests/bench/serving.py $(BENCH)

bench-serving-shops: setup ## The serving path on Amazon Beauty and Goodbooks, where --data, by default ../shared/data, holds them (BENCH="--shops beauty" serves one)
	@$(BIN)/python tests/bench/serving_shops.py $(BENCH)

bench-scale: .venv/.installed ## Training steps by neighbour sampling on 10 million purchase edges (BENCH="--batches 20" for fewer)
	@$(BIN)/python tests/bench/scale.py $(BENCH)

tune-accuracy: .venv/.installed ## Search each model's configuration on weeks 45-48 (TUNE="--only ease --seconds 60 --write")
	@$(BIN)/python tests/bench/tune.py $(TUNE)

pictures: setup browser ## Take the README's pictures from the demo's panel
	@SHOPGRAPH_HOME=$(DEMO_HOME) $(BIN)/python tests/browser/pictures.py

clean: ## Stop the demo's services; remove its data, build output and the environment
	@if [ -x $(BIN)/shopgraph ]; then SHOPGRAPH_HOME=$(DEMO_HOME) $(BIN)/shopgraph services stop || true; fi
	@rm -rf .venv .shopgraph build dist web/node_modules web/shopgraph_web/static/vendor .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
