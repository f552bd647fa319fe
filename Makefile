# Plimsoll's commands. `make run` starts it, `make test` proves it; both share one profile and one target directory per machine
# (~/.cache/plimsoll/target, or CARGO_TARGET_DIR), so that what one has compiled the other does not compile again.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PLIMSOLL_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/plimsoll
export CARGO_TARGET_DIR ?= $(PLIMSOLL_CACHE)/target
# Before cargo: RocksDB is compiled once per machine (ci/rocksdb says why), and the target directory may be shared (ci/checkout).
PREPARE = ci/checkout; export ROCKSDB_STATIC=1; ROCKSDB_LIB_DIR="$$(ci/rocksdb)"; export ROCKSDB_LIB_DIR

.PHONY: help run build test unit fmt fuzz resilience docs bench

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

run: ## build and start everything in one process, data in ./data (ARGS="--http-listen ..." to change)
	@ci/deps build
	@$(PREPARE); cargo build --release --locked -p plimsoll -p plimsoll-loadtest
	@exec "$(CARGO_TARGET_DIR)/release/plimsoll" run $(ARGS)

build: ## the binaries, in $CARGO_TARGET_DIR/release
	@ci/deps build
	@$(PREPARE); cargo build --release --locked -p plimsoll -p plimsoll-loadtest

test: ## everything that must hold: format, lints, arrows, dependencies, unit, property, conformance and whole-system tests
	@ci/deps test
	@cargo fmt --all --check
	@ci/check-arrows
	@ci/deny
	@$(PREPARE); cargo clippy --release --locked --workspace --all-targets --quiet -- -D warnings
	@$(PREPARE); cargo build --release --locked -p plimsoll -p plimsoll-loadtest
	@$(PREPARE); ci/test

unit: ## some tests: ARGS="--test crash", or ARGS="--lib wal::" for unit tests by name
	@ci/deps test
	@$(PREPARE); cargo build --release --locked -p plimsoll -p plimsoll-loadtest
	@$(PREPARE); cargo test --release --locked --workspace $(ARGS)

bench: ## benchmarks of the hot paths (criterion) and a first load test
	@ci/deps build
	@$(PREPARE); cargo bench --locked --workspace
	@$(PREPARE); cargo build --release --locked -p plimsoll -p plimsoll-loadtest
	@"$(CARGO_TARGET_DIR)/release/loadtest" write
	@"$(CARGO_TARGET_DIR)/release/loadtest" query

resilience: ## faults on a cluster under load, and what was noticed of them, as a table (ARGS="rollout" for one); up to 46 minutes
	@ci/deps resilience
	@$(PREPARE); cargo build --release --locked --workspace --bins
	@"$(CARGO_TARGET_DIR)/release/resilience" $(ARGS)

fuzz: ## fuzz parser, engine and scripts of PromQL (SECONDS_EACH=60); needs a nightly compiler and cargo-fuzz
	@ci/fuzz

docs: ## write docs/configuration.md from the settings
	@$(PREPARE); cargo build --release --locked -p plimsoll -p plimsoll-loadtest
	@"$(CARGO_TARGET_DIR)/release/plimsoll" config reference > docs/configuration.md

fmt: ## format all code
	@cargo fmt --all
