# `make story` generates a story, `make test` runs the tests; both install what they need. `make help` lists all targets.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# Stamps of the installed packages: make installs again when one of these files is newer.
BASE := $(VENV)/.installed-base
DEV := $(VENV)/.installed-dev
PINS := pyproject.toml constraints.txt
# uv compares every file with the hashes of constraints.txt, those that build the package (-b) too. It looks where pip looks.
LINKS := $(PIP_FIND_LINKS:%=--find-links %)
INSTALL := $(BIN)/uv pip install -q --system-certs --compile-bytecode --python $(BIN)/python $(LINKS) -c constraints.txt -b constraints.txt

PYTEST_ARGS ?=

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# --- environments ---------------------------------------------------------------------------------------------------

$(BIN)/uv:
	@python=$$(PYTHON="$(PYTHON)" sh scripts/find-python.sh 3.11+) && echo "make: $(VENV) from $$python" && "$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps -r <(sed -n '/^uv==/,/[^\\]$$/p' constraints.txt)

$(BASE): $(PINS) | $(BIN)/uv
	@echo "make: installing storygan into $(VENV) (the first time, a few minutes: PyTorch is large)"
	@$(INSTALL) -e .
	@touch $@

$(DEV): $(PINS) | $(BIN)/uv
	@echo "make: installing storygan and its development tools into $(VENV) (the first time, a few minutes)"
	@$(INSTALL) -e '.[all]' --group dev
	@touch $@ $(BASE)

.PHONY: render-env
render-env: .render-venv/.installed ## install Blender (bpy) in an environment of its own, .render-venv

.render-venv/.installed: constraints-render.txt scripts/render-env.sh
	@scripts/render-env.sh .render-venv
	@touch $@

# --- for users ------------------------------------------------------------------------------------------------------

.PHONY: story
story: $(BASE) ## generate a story with the shipped model into story.png
	@$(BIN)/storygan generate \
	    "large red rubber cube at (-2.2, -0.6)" \
	    "large green metal cylinder at (2.4, 1.6)" \
	    "large blue metal sphere at (-1.6, 2.6)" \
	    "large yellow rubber sphere at (2.2, -1.5)" \
	    --samples 4 --seed 7 --out story.png
	@echo "make: the story is in $(CURDIR)/story.png"

# --- for developers -------------------------------------------------------------------------------------------------

.PHONY: test slow lint types mutants hooks ci docs dist pictures lock lowest newest fuzz audit clean
test: $(DEV) ## run the fast tests, one process a core
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal $(PYTEST_ARGS)

slow: $(DEV) ## run the slow tests in two processes (training, Blender, a fresh clone, the README's long commands)
	@$(INSTALL) --group fuzz
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -m slow -n 2 --dist loadfile --timeout 1200 $(PYTEST_ARGS)

lint: $(DEV) ## ruff: rules and format; import-linter: the import direction
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache --no-logo

types: $(DEV) ## mypy
	@$(BIN)/mypy

mutants: $(DEV) ## mutation tests: a test must fail for each changed line (minutes)
	@$(BIN)/python scripts/mutants.py

hooks: $(DEV) ## run the checks before every commit from now on
	@$(BIN)/pre-commit install

ci: ## run all that CI runs
	@bash .ci/run

docs: $(DEV) ## build the site of docs/ into build/site (strict, offline)
	@$(BIN)/python scripts/docs_pages.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "make: open $(CURDIR)/build/site/index.html"

dist: $(DEV) ## build the sdist and the wheel into dist/, and check their metadata
	@rm -rf dist
	@UV_CONSTRAINT=constraints.txt UV_SYSTEM_CERTS=1 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m build --installer uv
	@$(BIN)/python -m twine check --strict dist/*

pictures: $(DEV) ## regenerate docs/pictures, after a change of the shipped model
	@$(BIN)/python scripts/docs_pictures.py

# PyTorch is held at the version that the tests were written against; PyPI lacks the hash of its build for the CPU.
TORCH := torch==2.13.0
TORCH_CPU := 6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b
COMPILE := $(BIN)/uv pip compile -q --system-certs --upgrade --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command 'make lock'

lock: $(BIN)/uv ## update constraints.txt and constraints-render.txt to the newest versions that pyproject.toml admits
	@echo '$(TORCH)' | $(COMPILE) pyproject.toml - --extra all --group dev --group fuzz --universal --python-version 3.11 -o constraints.txt
	@sed -i 's/^$(TORCH).*/&\n    --hash=sha256:$(TORCH_CPU) \\/' constraints.txt
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["render"], sep="\n")' | \
	    $(COMPILE) - --python-version 3.11 -o constraints-render.txt

# Where pip takes PyTorch from a folder, so do these; elsewhere its lowest (newest) version is installed too.
lowest newest: $(BIN)/uv ## install the lowest (newest) versions that pyproject.toml admits in build/, and run the commands
	@sh scripts/versions.sh $@ $(CURDIR)/$(BIN)/uv $(if $(LINKS),$(LINKS) $(TORCH)+cpu)

fuzz: $(DEV) ## fuzz every reader of a user's file, FUZZ_SECONDS each (60)
	@$(INSTALL) --group fuzz
	@$(BIN)/python scripts/fuzz.py --seconds $(or $(FUZZ_SECONDS),60)

audit: ## check the pins for known vulnerabilities, if a service can be reached
	@python3 scripts/audit.py

clean: ## remove caches and built files; data, runs and environments stay
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis story.png
	@find . -name __pycache__ -not -path './.*' -prune -exec rm -rf {} +
