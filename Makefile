# Everything a newcomer or a maintainer types. `make` alone lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
# Any Python from 3.11 on; the locked packages are tested with 3.11.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name) 2>/dev/null)))

.PHONY: help run test drill faults check format messages lock scoring clean

help:  ## List these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1@\2/' | column -t -s @

run: $(VENV)/.runtime  ## Start Teri on this machine (PORT=8000)
	@PORT=$(PORT) exec $(BIN)/python -m devtools.launcher

test: $(VENV)/.development  ## Run the tests (ARGS="-k name" passes options to pytest)
	@# A process for each core, because tests often wait for servers and browsers. At most four, because of the memory.
	@$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile $(ARGS)

drill: $(VENV)/.development  ## Run the long drills, which `make test` leaves out
	@$(BIN)/python -m pytest -m drill $(ARGS)

faults: $(VENV)/.development  ## Put faults into the code and see which test catches each (ARGS="--only NAME")
	@$(BIN)/python -m tools.faults $(ARGS)

check: $(VENV)/.development  ## Run linters and type checker, look for missing migrations, check templates
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# The Django plugin of mypy loads the test settings. With these addresses they start no servers; nothing connects.
	TERI_TEST_SERVERS=1 DATABASE_URL=postgresql://types@/types REDIS_URL=redis://types $(BIN)/mypy .
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/djlint --lint --quiet templates
	$(BIN)/python -m tools.faults --check

format: $(VENV)/.development  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: $(VENV)/.development  ## Update the Kazakh and Russian catalogs (ARGS=missing lists what is not translated)
	@$(BIN)/python tools/translations.py $(ARGS)

lock: $(VENV)/.development  ## Lock all packages with hashes (UPGRADE=--upgrade takes newer versions)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet $(UPGRADE) --generate-hashes --no-emit-index-url --python-version 3.11 requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet $(UPGRADE) --generate-hashes --no-emit-index-url --python-version 3.11 requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile --quiet $(UPGRADE) --generate-hashes --no-emit-index-url --python-version 3.11 requirements-scoring.in -o requirements-scoring.txt

scoring: $(VENV)/.development  ## Add the official ISIC scoring to the tests (needs a C compiler)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-scoring.txt

clean:  ## Remove the virtual environment and caches; the data in var/ stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The virtual environment is made once. The stamp files below are written after a successful install, so that a second
# `make run` installs nothing.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Teri needs Python 3.11 or newer, and none was found. Install it, or name it: make run PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Teri needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Name another: make run PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making the virtual environment $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "The virtual environment could not be made. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

$(VENV)/.runtime: requirements.txt | $(BIN)/python
	@echo "Installing the packages of requirements.txt; the first time takes some minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.development: requirements-dev.txt | $(BIN)/python
	@echo "Installing the packages of requirements-dev.txt; the first time takes some minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/.runtime
