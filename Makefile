# demo: story 1 for real; test: everything CI runs; check: the quick half; bench: the figures in docs/performance.md;
# soak: new seeds, long runs. Each target sets up what it needs (apt only for what is missing; root for that).
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
NOW := $(shell date +%s)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: demo test check bench soak venv parts lock

demo: ## a container crash-loops; it is healed while you watch
	@.ci/setup demo
	@$(BIN)/resurgam demo

venv:
	@.ci/setup venv

parts:
	@.ci/setup parts

check: venv ## lint, types, import contract, unit tests: a minute, no engine
	$(BIN)/ruff check supervisor tests
	$(BIN)/ruff format --check supervisor tests
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -q -n 2 tests/unit

test: parts ## everything CI runs
	$(BIN)/ruff check supervisor tests
	$(BIN)/ruff format --check supervisor tests
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest -q -n 2 tests

bench: parts ## the figures of docs/performance.md
	$(BIN)/python -m tests.bench.alert_latency
	$(BIN)/python -m tests.bench.bus
	$(BIN)/python -m tests.bench.downtime
	$(BIN)/python -m tests.bench.footprint
	$(BIN)/python -m tests.bench.gate_cost
	$(BIN)/python -m tests.bench.gpu_fault
	$(BIN)/python -m tests.bench.gpu_poll
	$(BIN)/python -m tests.bench.memory_events
	$(BIN)/python -m tests.bench.memory_tick
	$(BIN)/python -m tests.bench.memory_victims
	$(BIN)/python -m tests.bench.rules_cost
	$(BIN)/python -m tests.bench.rules_beside_prometheus
	$(BIN)/python -m tests.bench.swap

soak: parts ## new seeds and long runs, before a release
	@.ci/setup soak
	$(BIN)/pytest -q -s -n 0 tests/soak/guest_groups.py
	RESURGAM_SEEDS=$${RESURGAM_SEEDS:-$(NOW):500} $(BIN)/pytest -q -n 2 tests/sim
	RESURGAM_ORACLE_SEEDS=$${RESURGAM_ORACLE_SEEDS:-$(NOW):200} \
	RESURGAM_FUZZ=10 RESURGAM_FUZZ_SEED=$${RESURGAM_FUZZ_SEED:-$(NOW)} $(BIN)/pytest -q -n 2 tests/oracle \
		tests/sim/test_bus_commands_fuzz.py
	RESURGAM_SOAK=1 $(BIN)/pytest -q tests/sim/test_bus_commands_killed.py tests/real/test_kills.py tests/real/test_engine_restart.py \
		tests/real/test_interference.py tests/real/test_chaos.py tests/real/test_fidelity.py \
		tests/real/test_bus_chaos.py tests/real/test_memory_ramps.py tests/real/test_swap_kill.py

lock: venv ## write the lock anew: hashes, no addresses
	.ci/lock
