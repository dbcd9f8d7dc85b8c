# All that one does with this project. `make help` lists it.

PYTHON ?= python3
PORT ?= 8000
WORKERS ?= $(or $(WEB_CONCURRENCY),1)
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py

export WEB_CONCURRENCY := $(WORKERS)

.DEFAULT_GOAL := help
.PHONY: help run setup test check format messages guide bench clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup  ## Set up all that is missing and serve the site on http://127.0.0.1:8000 (PORT=9000, WORKERS=4 for more processes)
	@$(MANAGE) owner_link --url http://127.0.0.1:$(PORT)
	@echo "==> The site is on http://127.0.0.1:$(PORT) (Ctrl+C stops it)"
	@exec $(BIN)/uvicorn chatsite.asgi:application --host 127.0.0.1 --port $(PORT) --workers $(WORKERS) \
		--timeout-graceful-shutdown 10 --no-server-header --no-access-log --log-level warning

setup: $(VENV)/.installed
	@$(BIN)/python -m chatsite.npm
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) seed_assistants
	@$(MANAGE) collectstatic --noinput --verbosity 0
	@$(MANAGE) check --database default --verbosity 0

test: $(VENV)/.developing  ## Set up all that is missing and run the whole test suite (ARGS="-k name" for a part)
	@$(BIN)/python -m chatsite.npm --dev
	@command -v chromium-headless-shell chromium google-chrome >/dev/null || $(BIN)/playwright install chromium || true
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal $(ARGS)

check: $(VENV)/.developing  ## Run linters, type checks, import contracts and the checks of Django
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy backends chat chatsite guide
	$(BIN)/lint-imports --no-cache  # its cache misses modules that are new
	$(MANAGE) makemigrations --check --dry-run

format: $(VENV)/.developing  ## Put all Python files into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

messages: $(VENV)/.developing  ## Bring the translations in line with the texts of the site, and say what is missing
	$(BIN)/python -m chatsite.translations

guide: $(VENV)/.installed  ## Train the built-in guide anew from guide/corpus and print how good it is
	$(BIN)/python -m guide.train

bench: $(VENV)/.developing  ## Measure the first piece of an answer, the page, many streams, the local engine (an hour and a half, quiet)
	$(BIN)/python -m bench.first_token
	$(BIN)/python -m bench.page
	$(BIN)/python -m bench.streaming
	$(BIN)/python -m bench.engine

clean:  ## Remove what was installed and built; the database in var/ stays
	rm -rf $(VENV) frontend/node_modules var/static .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "==> Making the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt constraints.txt | $(VENV)/bin/python
	@echo "==> Installing what the site runs on (PyTorch is large: this takes minutes, once)"
	@$(BIN)/pip install --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.developing: requirements-dev.txt $(VENV)/.installed
	@echo "==> Installing what the tests need"
	@$(BIN)/pip install --disable-pip-version-check -r requirements-dev.txt
	@touch $@
