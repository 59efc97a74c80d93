# The few words a person needs. All work is done by server/bootstrap.py (standard library only) and by what it installs into .venv.

# The first of these that is Python 3.10+ and can make a virtual environment; if none can, bootstrap.py says what is missing.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python3.10 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo "$$p" && exit; done; echo python3)
BOOTSTRAP = @"$(PYTHON)" server/bootstrap.py
BIN = ../.venv/bin

# Passed on as they were typed: no shell and no make looks into the name of a folder.
run: export TSIR_IMAGES := $(value IMAGES)
run: export TSIR_CALLED_FROM := $(value PWD)

.PHONY: help run setup client test lint types format lock clean gpu-check
.DEFAULT_GOAL := help

help:
	@echo "make run [IMAGES=folder]    set up what is missing, start API and GUI; with a folder: import its pictures"
	@echo "make test [ARGS='-k name']  set up what is missing, run every test of server and client"
	@echo "make setup [EXTRAS=...]     set up only; EXTRAS is a list of torch, train, ray, dev, raw, jxl"
	@echo "make client                 build the GUI into client/dist"
	@echo "make lint / types / format  ruff, import-linter and biome / mypy and tsc / let ruff and biome rewrite"
	@echo "make gpu-check IMAGES=f     on a machine with a GPU: its tests, then tsir bench gpu on the photos in f (DRY=1: on the CPU)"
	@echo "make lock                   resolve the lock files server/requirements*.txt anew"
	@echo "make clean                  remove all that set-up made; your library in data/ stays"
	@echo "PYTHON=/path/to/python3     before any of these: use that interpreter"

run:
	$(BOOTSTRAP) run

setup:
	$(BOOTSTRAP) setup --extras "$(EXTRAS)"

client:
	$(BOOTSTRAP) client

# Four at a time, also on two cores: many tests wait for servers. ARGS=-n0 runs them one after the other, as a debugger needs it.
# One thread for torch: two processes of two threads each wait for one another more than they compute.
test:
	$(BOOTSTRAP) setup --extras dev
	$(BOOTSTRAP) client
	$(BOOTSTRAP) npm test
	cd server && OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 $(ARGS)

lint:
	$(BOOTSTRAP) setup --extras dev
	cd server && $(BIN)/ruff check . && $(BIN)/ruff format --check .
	cd server && PYTHONPATH=src $(BIN)/lint-imports --no-cache
	$(BOOTSTRAP) npm lint

types:
	$(BOOTSTRAP) setup --extras dev
	cd server && $(BIN)/mypy
	$(BOOTSTRAP) npm typecheck

format:
	$(BOOTSTRAP) setup --extras dev
	cd server && $(BIN)/ruff check --fix . && $(BIN)/ruff format .
	$(BOOTSTRAP) npm format

# PIP_NO_INDEX=1 PIP_FIND_LINKS=folder before it: install from wheels where there is no network.
gpu-check: export TSIR_IMAGES := $(value IMAGES)
gpu-check: export TSIR_CALLED_FROM := $(value PWD)
gpu-check:
	$(BOOTSTRAP) setup --extras dev,torch
	cd server && $(BIN)/python -m pytest -n0 -q tests/encoders/test_task_former.py tests/training/test_task_former.py
	cd "$$TSIR_CALLED_FROM" && "$(CURDIR)/.venv/bin/tsir" bench gpu "$$TSIR_IMAGES" $(if $(DRY),--dry)

lock:
	$(BOOTSTRAP) lock

clean:
	$(BOOTSTRAP) clean
