# Copyright (c) 2026, alchemist.beam contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Every target sets up what it needs under .cache (as root also Debian/Ubuntu packages). docs/testing.md tells more.
SHELL := /bin/bash
SETUP := tests/support/setup.sh
PYTHON := .cache/venv/bin/python
N ?= 3
STORE ?= file
FLEET ?= auto
export FLEET
# TARGETS="release_artifact store_check" narrows `make integration`, TARGETS="test_service" `make fleet`.
TARGETS ?=
BASE ?=

.PHONY: help setup test test-fleet check lint sanity unit integration fleet fleet-up fleet-down demo demo-stop bench bench-rollout bench-bootstrap bench-build clean
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## packages, tools, the collection at an importable path
	@$(SETUP) packages && $(SETUP) venv && $(SETUP) live

tools:
	@$(SETUP) venv && $(SETUP) live
packages:
	@$(SETUP) packages
.PHONY: tools packages

errors: tools ## writes docs/errors.md, the catalogue of error codes, from the source
	@PYTHONPATH=.cache/live $(PYTHON) tests/support/error_codes.py > docs/errors.md
.PHONY: errors

demo: ## the whole line on this machine, three nodes (STORE=file or s3, KEEP=1 leaves them running)
	@$(SETUP) packages demo && $(SETUP) venv && $(SETUP) live
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" $(PYTHON) examples/demo/demo.py --store $(STORE) $(if $(KEEP),--keep)

demo-stop: tools ## end the nodes that `make demo KEEP=1` left running
	@$(PYTHON) examples/demo/demo.py --stop

test: packages tools ## the cheapest first: lint, sanity, units, each module on real parts, one journey on a fleet (FLEET=required|auto|off)
	@$(PYTHON) tests/support/run_test.py test

test-fleet: packages tools ## all the rest: the long targets of the integration, every other file of the fleet
	@$(PYTHON) tests/support/run_test.py test-fleet

check: tools ## before each commit, within a minute: lint, ansible-test and units of what changed (BASE=COMMIT; by default since origin's main)
	@BASE=$(BASE) $(PYTHON) tests/support/run_check.py

lint sanity unit: tools
	@$(PYTHON) tests/support/run_$@.py
lint: ## ruff, mypy, ansible-lint, changelog, documentation, licences
sanity: ## ansible-test sanity, with each ansible-core at hand
unit: ## pytest on the controller's Python and on the oldest of a server

integration: tools ## real Elixir, real stores (TARGETS="a b" for some)
	@$(PYTHON) tests/support/run_integration.py $(TARGETS)

fleet: tools ## real systemd hosts (TARGETS="test_service test_colors" for some)
	@$(PYTHON) tests/support/run_fleet.py $(TARGETS)

fleet-up: setup ## N hosts, a balancer, S3, a double of AWS, by hand (BARE=1: hosts only)
	@tests/fleet/fleet up $(N) $(if $(BARE),,--balancer --s3 --aws) $(if $(RELEASES),--releases $(RELEASES))

fleet-down: tools ## end them, and leave nothing
	@tests/fleet/fleet down

bench: setup ## the figures, side by side in one run
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" PYTHONPATH=.cache/live $(PYTHON) tests/bench/bench.py

bench-rollout: setup ## rollouts: under load, what they cost, races for the lock, killed controllers, bad releases (docs/figures.md)
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" PYTHONPATH=.cache/live $(PYTHON) tests/bench/rollout.py load
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" PYTHONPATH=.cache/live $(PYTHON) tests/bench/rollout.py time
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" PYTHONPATH=.cache/live $(PYTHON) tests/bench/scale.py costs
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" PYTHONPATH=.cache/live $(PYTHON) tests/bench/scale.py
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" PYTHONPATH=.cache/live $(PYTHON) tests/bench/locks.py
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" PYTHONPATH=.cache/live $(PYTHON) tests/bench/bad_releases.py
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" PYTHONPATH=.cache/live $(PYTHON) tests/bench/kills.py

bench-bootstrap: setup ## the bootstrap: boots with nothing to do, 50 starts at once, 200 launches while channels move, ways to boot (docs/figures.md)
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" PYTHONPATH=.cache/live $(PYTHON) tests/bench/bootstrap.py again
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" PYTHONPATH=.cache/live $(PYTHON) tests/bench/bootstrap.py storm
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" PYTHONPATH=.cache/live $(PYTHON) tests/bench/bootstrap.py launches
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" PYTHONPATH=.cache/live $(PYTHON) tests/bench/boots.py

bench-build: setup ## builds of the example, cold and warm, and the same commit twice (docs/figures.md tells how to do it with a project of yours)
	@PATH="$(CURDIR)/.cache/venv/bin:$$PATH" PYTHONPATH=.cache/live $(PYTHON) tests/bench/build.py

clean: ## what the targets made; refuses while something of it is mounted or runs
	@tests/support/clean.sh
