# Everything here sets itself up: `make demo` and `make test` need only Python 3.11+ with venv, and make.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PEERS := .venv-bench/.installed
GENERATOR := .venv-generator/.installed
TRITON := .venv-triton/.installed

# Where the environment forbids it, Python compiles everything anew in each of the many processes
# that tests start: two seconds for each.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check bench openapi generator triton lock format clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv and install everything, pinned and hashed, from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade >/dev/null
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(STAMP)

demo: $(STAMP) ## the main job on real models: a good version is promoted, a bad one rolled back
	$(BIN)/turnout demo

serve: $(STAMP) ## API, worker and database in one process, on http://127.0.0.1:8000
	$(BIN)/turnout serve

test: $(STAMP) ## the whole test suite
	$(BIN)/python -m pytest -n auto

check: $(STAMP) ## everything a reviewer asks for short of the tests: format, lint, types, contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP) $(PEERS) ## measure speed, memory and decisions; prints the tables of benchmarks/README.md
	$(BIN)/python -m benchmarks

# The peers' packages want an older numpy, hence an environment of their own. Where they cannot be
# installed, the benchmark goes by their published formulas and says so.
$(PEERS): benchmarks/requirements.lock | $(STAMP)
	test -x .venv-bench/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .venv-bench
	-$(BIN)/uv pip sync --quiet --python .venv-bench/bin/python --require-hashes \
	  --only-binary :all: benchmarks/requirements.lock && touch $@

openapi: $(STAMP) ## write docs/openapi.json anew
	$(BIN)/turnout openapi > docs/openapi.json

generator: $(GENERATOR) ## what the test of the generated client needs

$(GENERATOR): tests/generated_client/requirements.lock | $(STAMP)
	test -x .venv-generator/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .venv-generator
	$(BIN)/uv pip sync --quiet --python .venv-generator/bin/python --require-hashes \
	  tests/generated_client/requirements.lock && touch $@

triton: $(TRITON) ## what the test of Triton's client needs

$(TRITON): tests/interop/oip/requirements.lock | $(STAMP)
	test -x .venv-triton/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .venv-triton
	$(BIN)/uv pip sync --quiet --python .venv-triton/bin/python --require-hashes \
	  tests/interop/oip/requirements.lock && touch $@

lock: $(STAMP) ## pin the newest allowed versions of all dependencies into the four requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --upgrade --python-version 3.11 \
	  --no-header --no-emit-index-url --no-emit-find-links --extra demo --extra otel --group dev \
	  pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --upgrade --python-version 3.11 \
	  --no-header --no-emit-index-url --no-emit-find-links \
	  benchmarks/requirements.in --output-file benchmarks/requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --upgrade --python-version 3.11 \
	  --no-header --no-emit-index-url --no-emit-find-links \
	  tests/generated_client/requirements.in --output-file tests/generated_client/requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --upgrade --python-version 3.11 \
	  --no-header --no-emit-index-url --no-emit-find-links \
	  tests/interop/oip/requirements.in --output-file tests/interop/oip/requirements.lock

format: $(STAMP) ## format and mend what can be mended
	$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

clean: ## remove what the commands above have made
	rm -rf .venv .venv-bench .venv-generator .venv-triton .turnout .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
