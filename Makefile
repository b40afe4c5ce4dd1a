# Everything runs in .venv, which is set up once: make test, make demo, make lint, make bench, make clean.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types bench examples docs clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
DEMO_DIR ?= demo
PYTEST_ARGS ?= -n 2

help:
	@echo "make demo    the whole way once on synthetic files, every value checked (under a minute)"
	@echo "make test    all tests"
	@echo "make lint    ruff (rules and format), codespell and mypy"
	@echo "make docs    the site of the documentation, in build/site"
	@echo "make bench   benchmarks, side by side with the peers"
	@echo "make clean   remove what these made"

# Python 3.12 or newer: by name, then what is the default, then pyenv's.
define find_python
for python in python3.13 python3.12 python3 "$$HOME"/.pyenv/versions/3.1[23]*/bin/python; do \
	if command -v "$$python" > /dev/null && "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2> /dev/null; then \
		echo "$$python"; exit 0; \
	fi; \
done; \
echo "intake-virtualzarr needs Python 3.12 or newer; found only $$(python3 --version 2>&1 || echo none)." >&2; \
echo "Install one (for example: apt-get install python3.12-venv, or pyenv install 3.13), or install uv, and run make again." >&2; \
exit 1
endef

$(BIN)/python:
	@if command -v uv > /dev/null; then \
		uv venv --python '>=3.12' $(VENV); \
	else \
		python="$$($(find_python))"; \
		"$$python" -m venv $(VENV); \
	fi

$(STAMP): pyproject.toml | $(BIN)/python
	@if command -v uv > /dev/null; then \
		uv pip install --quiet --python $(BIN)/python --editable '.[test,lint,interchange]'; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,lint,interchange]'; \
	fi
	@touch $@

setup: $(STAMP)

demo: $(STAMP)
	$(BIN)/intake-virtualzarr demo $(DEMO_DIR)

test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check --output-format concise .
	$(BIN)/ruff format --check .
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs examples/*.py js/README.md stac_ext
	$(BIN)/mypy

types: $(STAMP)
	$(BIN)/mypy

examples: $(STAMP)
	for example in examples/*.py; do echo "== $$example"; $(BIN)/python "$$example"; done

docs: $(STAMP)
	@if command -v uv > /dev/null; then \
		uv pip install --quiet --python $(BIN)/python --editable '.[docs]'; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'; \
	fi
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/python -m mkdocs build --quiet --strict

bench: $(STAMP)
	@if command -v uv > /dev/null; then \
		uv pip install --quiet --python $(BIN)/python --editable '.[bench]'; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'; \
	fi
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)

clean:
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-oldest build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis demo
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
