# make demo    train the quick Sprites run and evaluate it (15 minutes on 2 cores, of which 10 are training)
# make test    the whole test suite
# make lint, make types    ruff, pyright
# make docs    the documentation, into site/
# make audit   look up known weaknesses of the locked packages (needs the network)
# make lock    resolve requirements.lock again (needs uv)
# make lock-lowest    the same of requirements-lowest.lock: the lowest versions that pyproject.toml allows
# PYTHON chooses the interpreter, VENV the virtual environment, RUN the demo's run directory,
# WORKERS how many processes test at once.

PYTHON ?= python3
VENV ?= .venv
RUN ?= runs/demo
UV ?= uv
WORKERS ?= 2
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.installed-docs

.PHONY: demo test lint types docs audit lock lock-lowest install
.DEFAULT_GOAL := test

demo: $(INSTALLED)
	$(BIN)/python -m vdd.main --config=configs/sprites.py:quick --workdir=$(RUN)
	@echo
	@echo "report:   $(RUN)/report.md"
	@for gif in $$(find $(RUN) -name '*.gif' | sort); do echo "picture:  $$gif"; done

test: $(INSTALLED)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(INSTALLED)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(INSTALLED)
	@$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(DOCS_INSTALLED)
	@$(BIN)/python docs/tables.py --check
	@$(BIN)/python docs/keys.py --check
	@$(BIN)/python docs/licences.py --check
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "documentation: site/index.html"

# Versions are all in the locks, so nothing is resolved or installed but the tool.
audit:
	@$(PYTHON) -m venv build/audit
	@build/audit/bin/python -m pip install --quiet pip-audit
	@failed=; for lock in requirements*.lock; do echo "$$lock:"; \
	  build/audit/bin/pip-audit --progress-spinner off --strict --disable-pip --no-deps --requirement $$lock \
	    || failed=1; done; test -z "$$failed"

lock:
	$(UV) pip compile --universal --python-version 3.11 --extra dev --extra hub --extra serve --extra video \
	  pyproject.toml -o requirements.lock --no-header --upgrade

lock-lowest:
	$(UV) pip compile --resolution lowest-direct --python-version 3.11 --extra video \
	  pyproject.toml -o requirements-lowest.lock --no-header --upgrade

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "vdd needs Python 3.11 to 3.13 ($(PYTHON) is not): make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "installing the locked requirements in $(VENV): a minute or two"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --prefer-binary --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED) requirements-docs.lock
	@$(BIN)/python -m pip install --quiet --no-deps -r requirements-docs.lock
	@touch $@
