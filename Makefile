# Everything is installed into .venv on the first call; `make clean` removes it.
# To use another Python than the first of 3.11 to 3.13 found (it only counts
# while there is no .venv, so after `make clean`):
#   make test BASE_PYTHON=/path/to/python3.12

SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
# -qq: errors only. The first installation takes minutes, so say what it does.
PIP := $(PYTHON) -m pip install -qq --disable-pip-version-check
INSTALLED := $(VENV)/.installed
ORACLE_INSTALLED := $(VENV)/.oracle-installed
DOCS_INSTALLED := $(VENV)/.docs-installed
BASE_PYTHON := python3 python3.12 python3.13 python3.11 python
SOURCES := tf_hmr training edge tests docs

export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: help test test-processes fuzz demo demo-long docs test-oracle \
  test-install test-slow test-extra test-delegate test-tflite-runtime \
  test-aarch64 test-web apk test-android trained \
  edge-report lint format install networks clean

help:
	@echo "make test         install what is needed, lint, run the tests"
	@echo "make test-processes  runs that are killed, of two workers and devices"
	@echo "make fuzz         read 1,000 damaged files of each format (10 minutes)"
	@echo "make test-install the wheel and the sdist on Python 3.11 to 3.13"
	@echo "make test-slow    whole runs: workers that are killed, records that go"
	@echo "make demo         install, people of photos, train, evaluate, export"
	@echo "make demo-long    the same with the network of the README's table"
	@echo "make test-oracle  hold rotations and skinning against tensorflow-graphics"
	@echo "make test-extra   exported files on a GPU of software, on an old"
	@echo "                  runtime and on aarch64 (downloads 300 MB, once)"
	@echo "make apk          build the Android app: MODEL=FILE.tflite"
	@echo "make test-android hold the app's logic and the .apk to edge/run.py"
	@echo "make test-web     the page of edge/web in Node and in headless Chromium"
	@echo "make edge-report  export, check and time: edge/REPORT.md"
	@echo "                  (BESIDE=pose_landmark_lite.tflite: timed beside ours)"
	@echo "make networks     get the networks that find people in photos"
	@echo "make docs         the documentation's pages: build/docs/index.html"
	@echo "make lint         check style"
	@echo "make format       mend style"
	@echo "make clean        remove .venv and caches (not runs/)"

# A file of tests is one process's: its fixtures are made once. The order is
# that of tests/conftest.py.
test: lint networks
	@$(PYTHON) -m pytest -q -n auto --maxprocesses 4 --dist loadfile \
	  --no-loadscope-reorder

# Each test starts several processes, which share the machine.
test-processes: $(INSTALLED)
	@$(PYTHON) -m pytest -q -m processes

fuzz: $(INSTALLED) networks
	@$(PYTHON) -m tests.fuzz

# The wheel and the sdist in clean environments of each Python.
test-install: $(INSTALLED) networks
	@$(PYTHON) -m tests.install

# Whole runs of several processes: minutes.
test-slow: $(INSTALLED) networks
	@$(PYTHON) -m pytest -q -m slow

demo: $(INSTALLED) networks
	@$(PYTHON) -m training.demo --workdir runs/demo

# The network of the README's table and of the edge report.
demo-long: $(INSTALLED) networks
	@$(PYTHON) -m training.demo --workdir runs/demo-long --count 20000 \
	  --steps 4000

# tensorflow-graphics 2021.12.3 asks for packages that no longer install; its
# geometry is pure Python and runs without them.
test-oracle: $(INSTALLED) $(ORACLE_INSTALLED)
	@$(PYTHON) -m pytest -q -m oracle tests/oracle

# What each needs is made in build/targets on the first call, without root.
test-extra: trained test-delegate test-tflite-runtime test-aarch64

# Without it the tests of the trained network would be skipped.
trained:
	@test -f runs/demo/best/model.weights.h5 || \
	  { echo "test-extra needs a trained model: make demo" >&2; exit 1; }

test-delegate: $(INSTALLED)
	@$(PYTHON) -m edge.targets.vulkan
	@$(PYTHON) -m pytest -q -m delegate tests/edge/targets

test-tflite-runtime: $(INSTALLED)
	@$(PYTHON) -m edge.targets.runtimes tflite-runtime
	@$(PYTHON) -m pytest -q -m tflite_runtime tests/edge/targets

test-aarch64: $(INSTALLED)
	@$(PYTHON) -m edge.targets.runtimes aarch64
	@$(PYTHON) -m pytest -q -m aarch64 tests/edge/targets

apk: $(INSTALLED) networks
	@test -n "$(MODEL)" || { echo "Which model? make apk MODEL=FILE.tflite" \
	  "(python -m edge.export writes one)" >&2; exit 1; }
	@$(PYTHON) -m edge.apk --model "$(MODEL)"

# -rs: what is skipped is said, with what to install.
test-android: $(INSTALLED) networks
	@$(PYTHON) -m pytest -q -rs -n 2 --dist loadfile --durations=0 \
	  --durations-min=20 -m android tests/edge/android

# Says so and ends well where there is no Node or no Chromium.
test-web: $(INSTALLED) networks
	@$(PYTHON) -m tests.web

edge-report: $(INSTALLED)
	@$(PYTHON) -m edge.report --weights runs/demo --out edge/REPORT.md \
	  $(if $(BESIDE),--beside $(BESIDE))

# The banner is of mkdocs-material's makers.
docs: $(INSTALLED) $(DOCS_INSTALLED)
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build >$(VENV)/docs.txt 2>&1 || \
	  { cat $(VENV)/docs.txt; exit 1; }
	@echo "Written: build/docs/index.html"

lint: $(INSTALLED)
	@$(PYTHON) -m ruff check --quiet $(SOURCES)
	@$(VENV)/bin/lint-imports >$(VENV)/layers.txt || \
	  { cat $(VENV)/layers.txt; exit 1; }
	@$(PYTHON) -m ruff format --quiet --check $(SOURCES) || \
	  { echo "Some files are not formatted: make format"; exit 1; }

format: $(INSTALLED)
	@$(PYTHON) -m ruff check --quiet --fix $(SOURCES)
	@$(PYTHON) -m ruff format --quiet $(SOURCES)

install: $(INSTALLED)

# Quick where they are in the user's cache already, which needs no network.
networks: $(INSTALLED)
	@$(PYTHON) -m tf_hmr.landmark_files

$(PYTHON):
	@for python in $(BASE_PYTHON); do \
	  if $$python -c 'import ensurepip, sys, venv; \
	      sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	      >/dev/null 2>&1; then \
	    echo "Making $(VENV) with $$($$python --version)"; \
	    exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo "Found no Python 3.11, 3.12 or 3.13 with venv and pip among:" \
	  "$(BASE_PYTHON). Install one, or name it:" \
	  "make BASE_PYTHON=/path/to/python3" >&2; \
	exit 1

$(INSTALLED): $(PYTHON) setup.cfg pyproject.toml
	@echo "Installing TensorFlow and the rest into $(VENV) (some minutes)"
	@$(PIP) -e '.[test,edge,data]'
	@touch $@

$(ORACLE_INSTALLED): $(INSTALLED)
	@$(PIP) --no-deps tensorflow-graphics==2021.12.3
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	@$(PIP) -e '.[docs]'
	@touch $@

clean:
	@rm -rf $(VENV) *.egg-info .pytest_cache .ruff_cache
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
