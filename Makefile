# Python 3.11 or newer and make are all it takes. `make run` starts everything on this machine.
SHELL := /bin/sh
PY := .venv/bin/python
RUN_STAMP := .venv/.requirements
DEV_STAMP := .venv/.requirements-dev
ARGS ?=

.PHONY: help run test lint check services clean

help:
	@echo "make run       start Leadapp here (PORT=8000), nothing else needs to be installed"
	@echo "make test      the tests that need no services, ARGS='-k name' to choose"
	@echo "make lint      ruff and mypy"
	@echo "make check     lint, the shape of the code, migrations, known holes in dependencies"
	@echo "make services  the tests on real PostgreSQL, Redis and a browser"

run: $(RUN_STAMP)
	@exec $(PY) -m leadapp.dev.run

test: $(DEV_STAMP)
	@exec $(PY) -m pytest -n 2 -m "not services" --ignore tests/services $(ARGS)

lint: $(DEV_STAMP)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

check: lint
	@$(PY) -m leadapp.dev.known_holes requirements-dev.txt
	@exec $(PY) -m pytest tests/test_shape.py tests/test_drift.py

services: $(DEV_STAMP)
	@exec sh .ci/services.sh $(PY) sh .ci/in_two_parts.sh $(PY) $(ARGS)

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Made again only when the requirements changed; a run that broke off leaves no stamp.
$(RUN_STAMP): requirements.txt
	@set -e; \
	found=; \
	for python in "$$PYTHON" python3.11 python3.12 python3.13 python3.14 python3 python; do \
	  if [ -n "$$python" ] && "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    found=$$python; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Leadapp needs Python 3.11 or newer, and found none. Install it, or say where: make run PYTHON=/path" >&2; \
	  exit 1; \
	fi; \
	if ! "$$found" -c 'import venv, ensurepip' 2>/dev/null; then \
	  echo "$$found has no venv. On Debian and Ubuntu: apt-get install python3-venv, then again." >&2; \
	  exit 1; \
	fi; \
	if ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  "$$found" -m venv --clear .venv; \
	fi; \
	echo "Installing what Leadapp needs into .venv ..."; \
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt; \
	touch $@

$(DEV_STAMP): requirements-dev.txt $(RUN_STAMP)
	@echo "Installing what the tests need into .venv ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
