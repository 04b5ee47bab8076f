# The commands of the project. `make` lists them. Each first builds .venv from the hashed lock file.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
UV_COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" --upgrade --quiet

# The tests start many Python processes: let Python keep what it compiled, whatever the shell asks for.
unexport PYTHONDONTWRITEBYTECODE

OLDEST_TESTS := tests/chaos/test_gate.py tests/integration/celery_worker/test_survival.py tests/integration/celery_worker/test_gate.py \
	tests/integration/ledger tests/integration/intake tests/integration/redis_client

.DEFAULT_GOAL := help
.PHONY: help demo schemas readme pictures sbom test oldest unit run prove fuzz mutants bench check verify lock clean

help: ## List the commands.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1	/' | expand -t 20

.venv/installed: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Nightly needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@echo "Building .venv from the hashed lock (once; a minute or two without a package cache)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --requirement requirements/dev.txt \
		| sed -un 's/^\(Collecting [^ ]*\|Installing\).*/  \1/p'
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/installed ## Run the whole product on this machine for half a minute, and check the result.
	@$(BIN)/nightly demo

run: .venv/installed ## Run the same parts for your own events, until Ctrl-C. Other ports: ARGS="--port 8180".
	@$(BIN)/nightly run $(ARGS)

test: .venv/installed ## Run every test, in five processes; the long tests start first.
	$(BIN)/pytest -n 5 --dist worksteal tests/chaos tests/browser tests/integration tests/producers tests/rabbitmq tests/unit

oldest: .venv/installed ## Run the tests that depend most on the server, on the oldest supported one: Redis 6.2.
	@$(BIN)/python -m tests.oldest_server -n 3 --dist worksteal $(OLDEST_TESTS)

unit: .venv/installed ## Run only the unit tests (seconds).
	$(BIN)/pytest tests/unit

prove: .venv/installed ## Test the promises at full size, for up to an hour. Less: ARGS="everything --events 10000 --server PATH".
	$(BIN)/python -m tests.chaos $(ARGS)

fuzz: .venv/installed ## Attack HTTP (page, POST /events, metrics) with hostile requests for ten minutes. Less: ARGS="--seconds 60".
	$(BIN)/python -m tests.chaos http --report .nightly/fuzz-report.md $(ARGS)

mutants: .venv/installed ## Put mistakes into the Lua and the decision core, and list those that no test finds. ARGS="--quick FILE".
	$(BIN)/python -m tests.mutants $(ARGS)

.venv-rivals/%/installed: requirements/%.txt
	@echo "Building $(@D), for the benchmark only (once)"
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes --requirement $<
	@touch $@

bench: .venv/installed .venv-rivals/rivals/installed .venv-rivals/arq/installed ## Measure performance. Quick: ARGS="race --only nightly,bare --delays 0 --rounds 1".
	@$(BIN)/python -m benchmarks $(or $(ARGS),--help)

check: test oldest verify ## Run exactly what CI runs.

verify: .venv/installed ## Run what CI runs besides the tests: format, lint, types, imports, coverage, compose file.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/coverage run -m pytest -q tests/unit
	$(BIN)/coverage report
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

schemas: .venv/installed ## Generate what docs/ and .env.example say of models, settings and licences.
	@$(BIN)/python -m docs.generator

readme: .venv/installed ## Run the demo, put its result into README.md, and take the picture of the review page (needs chromium).
	@$(BIN)/python -m docs.generator.demo

pictures: .venv/installed ## Take pictures of every page with Chromium into .nightly/pictures, and update those in docs/review-page.md.
	@rm -rf .nightly/pictures && mkdir -p .nightly/pictures
	@NIGHTLY_BROWSER=required NIGHTLY_PICTURES=$(CURDIR)/.nightly/pictures $(BIN)/pytest -q tests/browser/test_appearance.py
	@for name in docs/images/review/*.png; do cp .nightly/pictures/$$(basename $$name) $$name; done

sbom: .venv/installed ## Write dist/sbom.cdx.json (CycloneDX): versions, hashes and licences of what production installs.
	@$(BIN)/python -m docs.generator.sbom dist/sbom.cdx.json

lock: .venv/installed ## Update the lock files from pyproject.toml.
	$(UV_COMPILE) pyproject.toml --output-file requirements/runtime.txt
	$(UV_COMPILE) pyproject.toml --extra embedded --extra oidc --group dev --output-file requirements/dev.txt
	$(UV_COMPILE) benchmarks/rivals.in --no-annotate --output-file requirements/rivals.txt \
		--constraint <(sed -n 's/^\([a-z0-9-]*==[^ ;]*\).*/\1/p' requirements/runtime.txt)
	$(UV_COMPILE) benchmarks/arq.in --no-annotate --output-file requirements/arq.txt \
		--constraint <(sed -n '/^redis==/d; s/^\([a-z0-9-]*==[^ ;]*\).*/\1/p' requirements/runtime.txt)

clean: ## Remove everything that the other commands created.
	rm -rf tests/producers/node/node_modules .venv .venv-rivals .nightly .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
