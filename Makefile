# `make` alone says what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON := .venv/bin/python
# The fleet needs root: as root directly, else by sudo.
SUDO := $(shell [ "$$(id -u)" -eq 0 ] || echo sudo)
SPREAD := --numprocesses=2 --dist=loadfile
KERNEL ?= cloud
MACHINES ?= 2

.PHONY: help setup guest demo test lint types unit integration acceptance soak faults reliability bench down clean

help: ## Show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install packages, virtual environment and guest image, as far as they are missing
	@./provision.sh
	@./bootstrap.sh

guest: ## Build the guest image; KERNEL=rt takes Debian's PREEMPT_RT kernel
	@./qemu/guest/build --kernel $(KERNEL)

demo: setup ## Run a task-set with its variants on a fleet of two machines
	@$(SUDO) .venv/bin/taskgen run example.Demo --machines $(MACHINES) --events events.csv

# Two at a time, the longest first; of integration and acceptance tests two files each: they wait for
# machines much of their time, and each process has a network of its own.
test: setup ## Lint, types, unit, integration and acceptance tests
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target integration lint types unit acceptance

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:
	$(PYTHON) -m mypy

unit:
	$(PYTHON) -m pytest tests/unit

integration:
	$(SUDO) $(PYTHON) -m pytest $(SPREAD) tests/integration

acceptance:
	$(SUDO) $(PYTHON) -m pytest $(SPREAD) tests/acceptance

soak: setup ## The long tests: storms, faults, installation from nothing
	@./provision.sh --dev
	@$(MAKE) --no-print-directory guest KERNEL=rt
	@# Each in a process of its own: most make a network of their own around them and cannot leave it
	@# again, others need the host's.
	@failed=0; for file in tests/soak/test_*.py; do \
		$(SUDO) $(PYTHON) -m pytest $$file || failed=1; done; exit $$failed

faults: setup ## Break machines in every way, and put the verdicts into docs/diagnosis.md
	$(SUDO) env TASKGEN_FAULTS_TABLE=docs/diagnosis.md \
		$(PYTHON) -m pytest -s tests/soak/test_fault_catalogue.py

reliability: setup ## Break everything under a daemon, and put the times into docs/reliability.md
	$(SUDO) env TASKGEN_RELIABILITY_TABLE=docs/reliability.md \
		$(PYTHON) -m pytest -s tests/soak/test_reliability.py

bench: setup ## Run the benchmarks, each beside the bare thing
	@$(SUDO) $(PYTHON) -m benchmarks

down: ## Remove whatever a crashed fleet of ours has left on this machine
	@$(SUDO) .venv/bin/taskgen down

clean: ## Remove what was built here; downloads are kept
	rm -rf .venv build/guest build/guest-rt .mypy_cache .ruff_cache .pytest_cache .hypothesis
