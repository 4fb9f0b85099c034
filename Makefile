.DEFAULT_GOAL := help
PYTHON ?= python3
PIP := .venv/bin/python -m pip --quiet --quiet --disable-pip-version-check --no-input
.PHONY: help install demo demo-star test test-all soak bench lint map new-function dist release

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 14

install: .venv/installed ## make .venv with exactly what requirements.lock names
	@:

demo: .venv/installed ## two databases and the worker between them, on throw-away servers
	@.venv/bin/rowferry demo

demo-star: .venv/installed ## a hub and three other databases, on throw-away servers
	@.venv/bin/rowferry demo --star

test: .venv/installed ## run the tests on throw-away servers (ARGS="-k name" selects, PG=14 takes servers of that version)
	@$(if $(PG),ROWFERRY_PG_BIN=$$(.venv/bin/python tests/majors.py $(PG)) && export ROWFERRY_PG_BIN && )\
	  .venv/bin/pytest -q -n $(or $(JOBS),2) --dist worksteal $(ARGS)

test-all: ## run the tests on every version of PostgreSQL, 14 to 18, one after the other
	@for version in 14 15 16 17 18; do echo "PostgreSQL $$version" && $(MAKE) --no-print-directory test PG=$$version || exit; done

soak: .venv/installed ## random histories and faults for MINUTES=10, then mutants (SEED=n repeats)
	@.venv/bin/python tests/soak.py --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

bench: .venv/installed ## measure beside native logical replication, on the same servers (QUICK=1: smaller)
	@PYTHONPATH=tests .venv/bin/python -m bench $(if $(QUICK),--quick) $(ARGS)

lint: .venv/lint-installed ## ruff, mypy; squawk, pgspot and own rules over the SQL; files of docs for containers
	@.venv/bin/ruff check --quiet
	@rm -rf .venv/types && mkdir -p .venv/types/rowferry && ln -s $(abspath worker)/* $(abspath migrations) .venv/types/rowferry
	@.venv/bin/mypy
	@.venv/bin/squawk sql/core/tables/*.sql sql/core/revisions/*.up.sql
	@.venv/bin/alembic -x node=crm upgrade head --sql | .venv/bin/python tests/lint_sql.py
	@.venv/bin/hadolint docs/deploy/Containerfile
	@.venv/bin/kubernetes-validate --quiet --strict docs/deploy/kubernetes.yaml
	@.venv/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec $$(git ls-files '*compose*.yaml')

map: .venv/installed ## draw the folders of sql/core and the calls between them into docs/map.svg
	@PYTHONPATH=tests .venv/bin/python tests/house/draw_map.py > docs/map.svg.new && mv docs/map.svg.new docs/map.svg

new-function: .venv/installed ## begin a new version of the function NAME, with a revision that runs it
	@.venv/bin/python -m rowferry.migrations.new_function $(NAME)

dist: .venv/installed ## build the wheel and the sdist into dist/, and print their hashes (SHA256SUMS)
	@rm -rf dist build && SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) \
	  .venv/bin/python -c "from setuptools import build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')" >/dev/null
	@cd dist && sha256sum rowferry-* > SHA256SUMS && cat SHA256SUMS

release: .venv/installed ## the last step before the tag: fix the texts of this version, and date it in CHANGELOG.md
	@PYTHONPATH=tests .venv/bin/python tests/release.py

.venv/lint-installed: .venv/installed tests/lint.lock
	@$(PIP) install --require-hashes --only-binary :all: -r tests/lint.lock
	@touch $@

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'rowferry needs Python 3.11 or newer. Hint: make PYTHON=/path/to/python3 $(MAKECMDGOALS)' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo 'This python3 cannot make a venv with pip in it. Hint: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Installing into .venv what requirements.lock names; this takes some 20 seconds.' >&2
	@.venv/bin/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv
	@$(PIP) install --require-hashes --only-binary :all: -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@
