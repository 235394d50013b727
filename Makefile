.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
PROFILE ?= paper
DIALECT ?= bybit
PORT ?= 9100
ARGS ?=
SECONDS ?= 60
SEEDS ?= 2000
KILLS ?= 200
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check install -c constraints.txt
KERNELS := $(wildcard ext/*.pyx ext/*.h hfengine/kernels/*.pxd)

.PHONY: help setup run venue test check format bench sim chaos fuzz clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.packages: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "hfengine: no '$(PYTHON)' found: install Python 3.11 or newer, or name it with 'make PYTHON=/path/to/python3 ...'."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "hfengine: $$($(PYTHON) --version) is too old: install Python 3.11 or newer, or name it with 'make PYTHON=/path/to/python3 ...'."; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "hfengine: this Python cannot make a virtual environment: install its venv module, for example with 'apt-get install python3-venv' on Debian."; exit 1; }
	@$(PYTHON) tools/compiler.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing packages into $(VENV) (the first time takes about a minute)"
	@$(PIP) --upgrade cython setuptools picows
	@$(PIP) --no-build-isolation -e '.[dev]'
	@touch $@

$(VENV)/.native: $(VENV)/.packages setup.py $(KERNELS)
	@echo "building the native kernels"
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@touch $@

setup: $(VENV)/.native ## make .venv, install packages, build the native kernels

run: setup ## run a profile: make run [PROFILE=paper] [ARGS="--duration 30s"]
	@$(BIN)/hfengine run --profile $(PROFILE) $(ARGS)

venue: setup ## serve a local exchange: make venue [DIALECT=bybit] [PORT=9100] [ARGS="--state v.db"]
	@$(BIN)/hfengine venue --dialect $(DIALECT) --port $(PORT) $(ARGS)

test: setup ## run the whole test suite
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

check: setup ## lint, format check, types, architecture and seam rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_architecture.py tests/test_seams.py tests/test_style.py

format: setup ## format the code and sort imports
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## time the kernels, the hot path and the peers side by side
	@$(BIN)/python -m pytest -q benchmarks --benchmark-sort=name --benchmark-columns=min,median,iqr,ops
	@$(BIN)/hfengine bench --peers
	@$(BIN)/hfengine bench --venue

sim: setup ## simulate the engine under faults, then with planted bugs: make sim [SEEDS=2000]
	@$(BIN)/hfengine sim --seeds $(SEEDS) $(ARGS)
	@$(BIN)/hfengine sim --planted

chaos: setup ## kill real engines, venues and stores: make chaos [KILLS=200]
	@$(BIN)/python -m tests.chaos.run --kills $(KILLS) $(ARGS)

fuzz: setup ## search for frames that codec and reference read differently: make fuzz [SECONDS=60]
	@$(PIP) atheris
	@$(BIN)/python -m tests.fuzz.fuzz_codec --seconds $(SECONDS)

clean: ## remove the environment and everything built
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find hfengine ext -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
