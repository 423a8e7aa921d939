# Every task of the repository. People and CI call the same targets; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV ?= .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
LOCK := requirements-dev.txt
# Set PYTHON to choose the interpreter; by default the first of these that is 3.11 or later and can make an environment.
PYTHON ?=
CANDIDATES := /usr/bin/python3.11 python3.11 python3.12 python3.13 python3
FUZZ_RUNS ?= 200000
TARGET ?= frame
FUZZ_SECONDS ?= 60
ARGS ?=

# pyo3 is compiled once for clippy and the tests, as long as both see the same interpreter.
export PYO3_PYTHON := $(abspath $(BIN)/python)
export MYPYPATH := python

RUST_SOURCES := Cargo.toml Cargo.lock rust-toolchain.toml $(shell find rust/core rust/py -name '*.rs' -o -name Cargo.toml)
PYTHON_SOURCES := pyproject.toml $(shell find python -name '*.py' -o -name '*.pyi' -o -name py.typed)

.PHONY: help
help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

.PHONY: demo
demo: wheel ## Run a compressed market session over a local socket and watch the candles (ARGS="--help").
	$(BIN)/python -m tickloom demo $(ARGS)

.PHONY: test
test: lint types rust-test fuzz-smoke python-test ## Run every check and every test, as CI does.

.PHONY: lint
lint: wheel ## Check format, lints, bans and the layers of the architecture.
	cargo fmt --all --check
	cargo fmt --manifest-path rust/fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache --no-logo

.PHONY: types
types: wheel ## Check the types, and the hand-written stub against the compiled module.
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest tickloom._core --mypy-config-file pyproject.toml --concise

.PHONY: rust-test
rust-test: wheel ## Run the tests of the Rust workspace.
	cargo test --workspace --all-features --locked --quiet

.PHONY: python-test
python-test: wheel ## Run the Python tests against the release wheel (ARGS="-k name").
	$(BIN)/python -m pytest $(ARGS)

.PHONY: fuzz-smoke
fuzz-smoke: ## Run each fuzz target for a moment over its seed corpus, with nothing but cargo.
	for target in $(notdir $(wildcard rust/fuzz/corpus/*)); do rust/fuzz/run.sh $$target --runs $(FUZZ_RUNS); done

.PHONY: fuzz
fuzz: ## Fuzz one target with coverage, which needs clang and its libFuzzer (TARGET=frame FUZZ_SECONDS=60).
	rust/fuzz/run.sh $(TARGET) --seconds $(FUZZ_SECONDS)

.PHONY: sanitize
sanitize: ## Run the readers of a ring under the thread sanitizer (Linux).
	host=$$(rustc -vV | sed -n 's/^host: //p'); \
	RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" \
	TSAN_OPTIONS="suppressions=$(CURDIR)/rust/core/tests/readers.supp" \
	cargo test --release --locked --package tickloom-core --test readers --target "$$host" --target-dir build/sanitize

.PHONY: bench
bench: wheel ## Measure against the vendor's parser, numpy and a plain Python builder; print one table, write JSON.
	$(BIN)/python -m benches.run $(ARGS)

.PHONY: format
format: $(STAMPS)/dev ## Rewrite the sources in the house format.
	cargo fmt --all
	cargo fmt --manifest-path rust/fuzz/Cargo.toml
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format --quiet .

.PHONY: wheel
wheel: $(STAMPS)/wheel ## Build the release wheel and install it into the environment, if a source changed.

.PHONY: environment
environment: $(STAMPS)/dev ## Make the Python environment from the hash-locked requirements.

.PHONY: lock
lock: $(STAMPS)/dev ## Resolve the development requirements anew and write the lock with hashes.
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-package tickloom --no-header --quiet --upgrade --output-file $(LOCK)
	cargo update --workspace

.PHONY: clean
clean: ## Remove everything that the other targets made.
	rm -rf $(VENV) build rust/fuzz/target .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks .import_linter_cache
	cargo clean --quiet
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(STAMPS)/python:
	@command -v cargo >/dev/null || { echo "cargo not found: install Rust (rustup reads rust-toolchain.toml for the version)" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "cc not found: Rust links with the system's C compiler, install gcc or clang" >&2; exit 1; }
	@chosen=""; \
	for candidate in $(or $(PYTHON),$(CANDIDATES)); do \
		if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then chosen="$$candidate"; break; fi; \
	done; \
	if [ -z "$$chosen" ]; then \
		echo "no Python 3.11 or later with venv and ensurepip found, tried: $(or $(PYTHON),$(CANDIDATES))" >&2; \
		echo "on Debian and Ubuntu: apt install python3 python3-venv; or name one: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "environment: $(VENV) from $$chosen, $$("$$chosen" -V)"; \
	rm -rf $(VENV); "$$chosen" -m venv $(VENV)
	@mkdir -p $(@D); touch $@

$(STAMPS)/dev: $(STAMPS)/python $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@touch $@

$(STAMPS)/wheel: $(STAMPS)/dev $(RUST_SOURCES) $(PYTHON_SOURCES) README.md LICENSE
	rm -rf build/wheel
	$(BIN)/maturin build --release --interpreter $(BIN)/python --out build/wheel --quiet
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall build/wheel/*.whl
	@touch $@
