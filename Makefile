# The commands of this project, each of which works on a fresh Debian 12 with nothing prepared.
# What a step does stands in tools/; here stands what depends on what.

PYTHON ?= python3
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60

export PYTHON
TAG = $(shell $(PYTHON) -c 'import sys; print("cp%d%d" % sys.version_info[:2])' 2>/dev/null)
VENV = build/venv/$(TAG)
SOURCES = $(shell find core python pyproject.toml CMakeLists.txt README.md LICENSE -type f -not -name '*_test.cc' -not -name '*.pyc')

.DEFAULT_GOAL := help
.PHONY: help setup install cpp-test python-test test test-all bench demo clean

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup:
	@tools/setup.sh

# Before setup has run there may be no Python to name the stamp after, so it is asked for in a make of its own.
install: setup
	@$(MAKE) --no-print-directory build/site/.$(TAG)

build/site/.$(TAG): $(SOURCES) tools/install.sh
	@tools/install.sh $(PYTHON) $(TAG)
	@touch $@

cpp-test: setup
	@cmake --preset default >/dev/null
	@cmake --build --preset default -j $(JOBS)
	@ctest --preset default -j $(JOBS)

python-test: install
	@$(VENV)/bin/pytest

test: install  ## Run the C++ and Python tests (package checks within 200 MB of downloads)
	@$(MAKE) --no-print-directory cpp-test
	@$(MAKE) --no-print-directory python-test

test-all: install  ## Run everything: every package, interpreter, sanitizer, compiler, fuzzer, upstream suite (hours)
	@tools/setup.sh --all
	@FUZZ_SECONDS=$(FUZZ_SECONDS) JOBS=$(JOBS) tools/test_all.sh $(PYTHON)

bench: install  ## Measure against plain files, zipimport, pip, shiv, PEX, PyInstaller, physfs.py and bsdtar; fail where a figure misses its limit
	@missed=0; for bench in run start compat formats; do $(VENV)/bin/python bench/$$bench.py || missed=1; done; exit $$missed

demo: install  ## Pack a program on numpy and pandas, run it with everything read-only, compare it with a venv
	@$(VENV)/bin/python demo/run.py

clean:  ## Remove everything that was built or downloaded
	rm -rf build
