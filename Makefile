# visitcast: `make` alone lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SCAN   := build/scan
NOTEBOOKS := build/notebooks
JUDGES := build/judges
REGION := build/localaws
# What people write between quotes is for the programs: make must not expand its "$", nor the shell run its "|".
TYPED := EVENTS EVENTS_ARGS INPUT OUT
$(foreach name,$(TYPED),$(eval override $(name) := $$(value $(name))))
export $(TYPED)
# Distributions in this repository, installed in place; requirements/dev.txt holds what they depend on.
DISTRIBUTIONS := containers localaws console
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Neither sam nor SageMaker's SDK reports what is done here.
export SAM_CLI_TELEMETRY := 0
export SAGEMAKER_USER_CONFIG_OVERRIDE := $(CURDIR)/requirements/sagemaker-sdk.yaml
# Trust the system's certificates, as pip does: uv's own do not include those of a company proxy.
export UV_SYSTEM_CERTS := true

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# --- environment -----------------------------------------------------------------------------------------------------

$(VENV)/.locked: requirements/bootstrap.txt requirements/dev.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"visitcast needs Python 3.11 to 3.13 (TensorFlow has wheels for these), found {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/bootstrap.txt requirements/dev.txt
	@touch $@

$(READY): $(VENV)/.locked $(DISTRIBUTIONS:%=%/pyproject.toml)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --offline --no-deps --no-build-isolation $(DISTRIBUTIONS:%=-e %)
	@touch $@

.PHONY: setup
setup: $(READY) ## create the project's environment (.venv) from the hashed lock file

$(SCAN)/.ready: requirements/scan.txt | $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(SCAN)
	$(BIN)/uv pip sync --quiet --python $(SCAN)/bin/python --require-hashes requirements/scan.txt
	@touch $@

$(NOTEBOOKS)/.ready: requirements/notebooks.txt | $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(NOTEBOOKS)
	$(BIN)/uv pip sync --quiet --python $(NOTEBOOKS)/bin/python --require-hashes requirements/notebooks.txt
	$(BIN)/uv pip install --quiet --python $(NOTEBOOKS)/bin/python --offline --no-deps --no-build-isolation $(DISTRIBUTIONS:%=-e %)
	@touch $@

.PHONY: sdk
sdk: $(NOTEBOOKS)/.ready ## install SageMaker's SDK and Jupyter into an environment of their own (build/notebooks)

# Node comes from the package index, so that npm needs none of the system's.
$(JUDGES)/python/.ready: requirements/judges.txt | $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(JUDGES)/python
	$(BIN)/uv pip sync --quiet --python $(JUDGES)/python/bin/python --require-hashes requirements/judges.txt
	@touch $@

NPM := PATH="$(CURDIR)/$(JUDGES)/python/bin:$$PATH" npm --no-audit --no-fund --ignore-scripts
$(JUDGES)/npm/.ready: tests/judges/package-lock.json $(JUDGES)/python/.ready
	@mkdir -p $(JUDGES)/npm
	cp tests/judges/package.json tests/judges/package-lock.json $(JUDGES)/npm
	cd $(JUDGES)/npm && $(NPM) ci
	@touch $@

$(JUDGES)/trino/.ready: tests/judges/trino/pom.xml
	mvn --quiet --batch-mode --strict-checksums --file tests/judges/trino/pom.xml prepare-package
	@touch $@

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command 'make lock'
.PHONY: lock
lock: $(READY) $(JUDGES)/python/.ready ## resolve the lock files again from the *.in files and the distributions
	$(LOCK) requirements/bootstrap.in -o requirements/bootstrap.txt
	$(LOCK) requirements/dev.in $(DISTRIBUTIONS:%=%/pyproject.toml) --all-extras -o requirements/dev.txt
	$(LOCK) requirements/notebooks.in console/pyproject.toml -o requirements/notebooks.txt
	for tool in scan judges; do $(LOCK) requirements/$$tool.in -o requirements/$$tool.txt || exit; done
	for place in tests/judges tools/browser tools/graph_layout; do \
		(cd $$place && $(NPM) install --package-lock-only --omit-lockfile-registry-resolved) || exit; done
	$(LOCK) -c requirements/dev.txt functions/requirements.in -o functions/requirements.txt
	for image in preprocessing training serving sending; do \
		$(LOCK) -c requirements/dev.txt containers/pyproject.toml --extra $$image -o containers/$$image/requirements.txt || exit; done

# For the tests of the console where no Chromium is installed; needs no rights of an administrator.
BROWSER := build/browser
$(BROWSER)/.ready: tools/browser/package-lock.json tools/browser/unpack.mjs $(JUDGES)/python/.ready
	@mkdir -p $(BROWSER)/unpacked
	cp tools/browser/package.json tools/browser/package-lock.json tools/browser/unpack.mjs $(BROWSER)
	cd $(BROWSER) && $(NPM) ci && TMPDIR="$(CURDIR)/$(BROWSER)/unpacked" PATH="$(CURDIR)/$(JUDGES)/python/bin:$$PATH" node unpack.mjs
	@touch $@

.PHONY: browser
browser: ## install a Chromium for the tests of the console, unless the system has one
	@command -v chromium chromium-browser google-chrome > /dev/null || $(MAKE) --no-print-directory $(BROWSER)/.ready

# A command ends with its make, if that is killed. Linux has it; elsewhere it goes on.
WITH_MAKE := exec $(shell setpriv --pdeathsig TERM true 2> /dev/null && echo setpriv --pdeathsig TERM)

# --- run -------------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(READY) ## run the whole pipeline on this machine; EVENTS=file or folder for your own events, EVENTS_ARGS says how they are read; DEMO_ARGS=--help lists options
	@$(WITH_MAKE) $(BIN)/python -m demo $(if $(EVENTS),--events "$$EVENTS" --events-args "$$EVENTS_ARGS") $(DEMO_ARGS)

.PHONY: forecast
forecast: $(READY) ## run the forecast workflow and show tomorrow's send plan; runs the demo first if there is no model; EVENTS=file or folder for exactly these users; INPUT='{...}', DEMO_ARGS=--help lists options
	@$(WITH_MAKE) $(BIN)/python -m demo.forecast_run --home $(REGION) $(if $(INPUT),--input "$$INPUT") $(if $(EVENTS),--events "$$EVENTS" --events-args "$$EVENTS_ARGS") $(DEMO_ARGS)

.PHONY: lift
lift: $(READY) ## show the visits that pushes cause, so far; without a stack, those of an experiment, beside the truth; LIFT_ARGS=--help lists options
	@$(WITH_MAKE) $(BIN)/python -m demo.lift_run --home $(REGION) $(if $(EVENTS),--events "$$EVENTS" --events-args "$$EVENTS_ARGS") $(LIFT_ARGS)

.PHONY: events
events: $(READY) ## write events for AWS, one folder per date: EVENTS=file or folder, else simulated; EVENTS_ARGS says how they are read; OUT=folder or s3://bucket/events; REPLACE=yes
	@$(BIN)/python -m demo.write_events $(if $(EVENTS),--events "$$EVENTS" --events-args "$$EVENTS_ARGS") $(if $(OUT),--output "$$OUT") $(if $(REPLACE),--replace)

.PHONY: check-events
check-events: $(READY) ## report what a log of events holds and whether it can be used, in seconds: EVENTS=file or folder; EVENTS_ARGS=--help lists options
	@$(BIN)/python -m visitcast check --page build/events.html $(if $(EVENTS),"$$EVENTS") --events-args "$$EVENTS_ARGS"

# Without ENVIRONMENT it shows the region on this machine; with dev or prod the account of the usual credentials.
.PHONY: console
console: ENVIRONMENT := local
console: $(READY) ## show runs, models, forecasts, plans and lift in the browser; ENVIRONMENT=dev for an account, CONSOLE_ARGS=--allow-runs to start runs
	@$(if $(filter local,$(ENVIRONMENT)),settings=$$($(BIN)/python -m localaws env --home $(REGION)) || exit; eval "$$settings";) \
		$(WITH_MAKE) $(BIN)/python -m console --stack-name visitcast-$(ENVIRONMENT) $(CONSOLE_ARGS)

# In an account they deploy and use the stack visitcast-dev: ENVIRONMENT=dev is all that changes.
.PHONY: notebook
notebook: ENVIRONMENT := local
notebook: $(NOTEBOOKS)/.ready ## open the notebooks in Jupyter, with a local region that stays until `make down`; ENVIRONMENT=dev for an account
	@$(if $(filter local,$(ENVIRONMENT)),$(BIN)/python -m localaws up --home $(REGION) $(if $(PORT),--port $(PORT)) && \
		settings=$$($(BIN)/python -m localaws env --home $(REGION)) || exit; eval "$$settings"; export SAM_CLI_POLL_DELAY=0.2;) \
		ENVIRONMENT=$(ENVIRONMENT) $(NOTEBOOKS)/bin/jupyter lab --notebook-dir=notebooks $(NOTEBOOK_ARGS)

.PHONY: up
up: $(READY) ## start the local region and keep it running; PORT=4600 if another program uses 4599
	@$(WITH_MAKE) $(BIN)/python -m localaws up --home $(REGION) $(if $(PORT),--port $(PORT))

.PHONY: down
down: ## stop the local region and everything in it
	@if [ -e $(READY) ]; then $(BIN)/python -m localaws down --home $(REGION); else echo "No region is running."; fi

CONTAINER   ?= docker
ENVIRONMENT ?= dev
# Otherwise a tag may name an index of image and attestation, which SageMaker does not accept.
export BUILDX_NO_DEFAULT_ATTESTATIONS := 1
.PHONY: images
images: $(READY) ## with Docker: build and push the images that a deployment would build; ENVIRONMENT=dev, REGISTRY=..., CONTAINER=podman
	@PYTHONPATH=. $(BIN)/python tools/push_images.py --environment $(ENVIRONMENT) --container $(CONTAINER) \
		$(if $(REGISTRY),--registry $(REGISTRY)) $(if $(BASE_IMAGE),--base-image $(BASE_IMAGE)) --build-options="$(BUILD_OPTIONS)"

.PHONY: base-image
base-image: $(READY) ## with Docker: name the newest base image by its digest in the Dockerfiles; the next deployment builds from it
	@PYTHONPATH=. $(BIN)/python tools/base_image.py --container $(CONTAINER)

.PHONY: preflight
preflight: $(READY) ## check an account, read-only, before a deployment; ENVIRONMENT=dev, PARAMETERS='EndpointMode=none', INPUT='{...}'
	@PYTHONPATH=. $(BIN)/python tools/preflight.py --environment $(ENVIRONMENT) $(if $(INPUT),--input "$$INPUT") $(if $(PARAMETERS),--parameters $(PARAMETERS))

.PHONY: prove
prove: $(READY) ## deploy a stack in the account, prove what it does, delete it; ENVIRONMENT=dev, or local for a local region
	@PYTHONPATH=. $(BIN)/python tools/prove.py --environment $(ENVIRONMENT) $(PROVE_ARGS)

# --- check -----------------------------------------------------------------------------------------------------------

# Many tests wait for jobs of the local region; a process with its region and jobs takes up to 3 GB.
TEST_PROCESSES ?= 2

# Lint runs beside the tests, which leave a core idle now and then. Findings are printed at once; the last line names the lints that failed.
.PHONY: test
test: $(READY) $(SCAN)/.ready $(NOTEBOOKS)/.ready ## run everything: lint, types, unit tests, the real state machines in the local region
	@mkdir -p build; $(MAKE) --no-print-directory browser > build/browser.log 2>&1 || echo "No browser could be installed: see build/browser.log"
	@{ nice $(MAKE) --no-print-directory lint > build/lint.log 2>&1 || { cat build/lint.log; false; }; } & lint=$$!; \
	trap 'kill $$lint' INT TERM; \
	$(BIN)/python -m pytest --ignore=tests/benchmarks --ignore=tests/containers \
		--ignore=tests/judges --ignore=tests/prove --numprocesses=$(TEST_PROCESSES) --dist=loadgroup --no-loadscope-reorder $(PYTEST_ARGS); tests=$$?; \
	wait $$lint || { echo "make lint failed ($$(sed -n 's/.*: \(lint-[a-z]*\)\] Error.*/\1/p' build/lint.log | xargs)): see build/lint.log"; \
		exit 1; }; exit $$tests

# Tests that train or start containers' entry points take minutes, those of the local region even more.
QUICK_TESTS := tests/unit functions containers --ignore=tests/unit/endpoint \
	$(patsubst %,--ignore=tests/unit/test_%.py,learners preprocessing training_entry_point training_network)
.PHONY: test-quick
test-quick: $(READY) lint-code lint-types ## the inner loop, two to five minutes: ruff, mypy, unit tests without training and containers
	$(BIN)/python -m pytest $(QUICK_TESTS) --numprocesses=$(TEST_PROCESSES) $(PYTEST_ARGS)

.PHONY: test-console
test-console: $(READY) ## drive the console in a real browser, against a stack in a local region
	-@$(MAKE) --no-print-directory browser
	$(BIN)/python -m pytest $(PYTEST_ARGS) console tests/integration/test_console.py

.PHONY: test-benchmarks
test-benchmarks: $(READY) ## run every benchmark at a small size
	$(BIN)/python -m pytest $(PYTEST_ARGS) tests/benchmarks

.PHONY: test-containers
test-containers: $(READY) ## build the images, run them as SageMaker does, and the functions as Lambda does; needs docker or podman
	$(BIN)/python -m pytest $(PYTEST_ARGS) tests/containers

.PHONY: test-prove
test-prove: $(READY) ## prove in a local region of its own what `make prove` proves in an account
	$(BIN)/python -m pytest $(PYTEST_ARGS) tests/prove

# A program that cannot be installed here does not stop the others: its tests say so.
.PHONY: judge
judge: $(READY) ## let programs that are not ours judge: other interpreters, AWS's validator, Trino, SageMaker's SDK
	-@$(MAKE) --no-print-directory --keep-going $(JUDGES)/npm/.ready $(JUDGES)/trino/.ready $(NOTEBOOKS)/.ready
	$(BIN)/python -m pytest $(PYTEST_ARGS) tests/judges

# The longest first.
LINTS := lint-types lint-safety lint-template lint-weaknesses lint-machines lint-imports lint-code
.PHONY: lint $(LINTS)
lint: $(READY) $(SCAN)/.ready ## run ruff, mypy, import rules, cfn-lint, checks of the state machines, bandit, checkov
	@$(MAKE) --no-print-directory --jobs=2 --keep-going $(LINTS)

lint-types:
	$(BIN)/mypy
lint-safety:
	@mkdir -p build/lint
	$(BIN)/python tools/template_json.py template.yaml > build/lint/template.json
	$(SCAN)/bin/checkov --config-file .checkov.yaml --file build/lint/template.json containers/*/Dockerfile .github/workflows/*.yml \
		> build/lint/checkov.txt; status=$$?; cat build/lint/checkov.txt; test $$status = 0 && ! grep "Parsing errors" build/lint/checkov.txt
lint-template:
	$(BIN)/sam validate --lint --region eu-central-1
lint-weaknesses:
	$(SCAN)/bin/bandit --quiet --configfile pyproject.toml --recursive benchmarks console/console containers demo functions localaws/localaws tools
lint-machines:
	$(BIN)/python tools/asl_lint.py
lint-imports:
	$(BIN)/lint-imports --no-cache --config pyproject.toml
	$(BIN)/lint-imports --no-cache --config localaws/pyproject.toml
	$(BIN)/lint-imports --no-cache --config console/pyproject.toml
lint-code:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Apart from lint: it asks a service on the internet, and its answer changes while the code does not.
.PHONY: audit
audit: $(SCAN)/.ready ## list known vulnerabilities of the locked packages; asks osv.dev
	@for lock in requirements/*.txt functions/requirements.txt containers/*/requirements.txt; do \
		echo $$lock; $(SCAN)/bin/pip-audit --strict --progress-spinner off --vulnerability-service osv --disable-pip --require-hashes --requirement $$lock || exit; \
	done

.PHONY: format
format: $(READY) ## format the code and apply ruff's fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

GRAPH_LAYOUT := build/graph-layout
$(GRAPH_LAYOUT)/.ready: tools/graph_layout/package-lock.json $(JUDGES)/python/.ready
	@mkdir -p $(GRAPH_LAYOUT)
	cp tools/graph_layout/package.json tools/graph_layout/package-lock.json $(GRAPH_LAYOUT)
	cd $(GRAPH_LAYOUT) && $(NPM) ci
	@touch $@

.PHONY: graph
graph: $(GRAPH_LAYOUT)/.ready ## draw the state machines, placed by ELK: the console's, docs/images/*.svg and docs/*-graph.md
	PATH="$(CURDIR)/$(JUDGES)/python/bin:$$PATH" $(BIN)/python tools/state_graphs.py $(GRAPH_LAYOUT)

.PHONY: roles
roles: $(READY) ## run the integration tests and write the proof of each role's permissions into docs/security.md
	rm -rf build/roles
	$(BIN)/python -m pytest tests/integration
	$(BIN)/python tools/roles_table.py build/roles/*.json

.PHONY: bench
bench: $(READY) ## measure the figures in the documentation; EVENTS=file for those of real data
	$(BIN)/python -m benchmarks --clone $(if $(EVENTS),--events "$$EVENTS")

.PHONY: clean
clean: down ## remove everything that was built, including the environment
	rm -rf build .aws-sam $(VENV)
