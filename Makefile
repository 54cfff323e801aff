# make demo | test | check | docs | bench. Each works in .venv, which it makes and keeps current by itself.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3.11
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test check lint docs bench format browser
.DEFAULT_GOAL := help

help:
	@echo "make demo    set up, then run the whole loop on simulated tickets (a quarter to half an hour)"
	@echo "make test    set up, then run every test"
	@echo "make check   what CI runs: format, lint, types, import rules, tests"
	@echo "make docs    build the documentation into site/, its reference pages made anew from the code"
	@echo "make bench   measure; figures go to bench/out/"

demo: .venv/ready
	@$(BIN)/triage demo

test: .venv/ready browser
	@$(BIN)/pytest -n 2 --dist loadfile

check: lint test

lint: .venv/ready
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: .venv/ready
	@$(BIN)/python -m triage.reference >/dev/null
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "site/index.html is the documentation; to search in it: $(BIN)/python -m http.server -d site -b 127.0.0.1 8001"

bench: .venv/ready
	@for bench in $$(grep -l __main__ bench/*.py | grep -v -e scoring_rate -e bare_loop); do echo "$$bench"; $(BIN)/python $$bench $(BENCH_ARGUMENTS) || exit 1; done

format: .venv/ready
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.venv/ready: pyproject.toml constraints.txt setup.sh
	@PYTHON=$(PYTHON) bash setup.sh

# The page tests drive Debian's chromium. Where it cannot be installed they skip and say so.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  echo "Installing chromium for the page tests ..." && \
	  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null; }; } || \
	  echo "No chromium, and it cannot be installed here: the page tests will skip."
