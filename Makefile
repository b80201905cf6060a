# Needs Python >= 3.11 with venv, git and make; each target fetches the rest.
.DEFAULT_GOAL := help
.PHONY: help demo test quick check gates-page bench bench-jobs bench-training bench-scale clean
.SHELLFLAGS := -euc
MAKEFLAGS += --no-print-directory

UV := $(shell command -v uv || echo .tools/bin/uv)
# The projects made below call uv too: they shall find the one that stands here.
export PATH := $(CURDIR)/.tools/bin:$(PATH)
unexport VIRTUAL_ENV

DEMO := build/shop-ranker
SCALE := build/shop-scale

help:  ## what there is to run
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(filter .tools/bin/uv,$(UV))  ## make a project from the default answers in build/ and run it end to end
	@rm -rf $(DEMO)
	@$(UV) run --quiet --only-group generate cookiecutter . --no-input --default-config -o build
	@$(MAKE) -C $(DEMO)
	@$(MAKE) -C $(DEMO) check
	@echo "The report: $(DEMO)/runs/latest/index.html"

test: check quick  ## everything: the template's own files, quick tests, whole projects (minutes)
	@$(UV) run --quiet pytest -m full -n 3 --maxschedchunk 1 --durations 20

quick: $(filter .tools/bin/uv,$(UV))  ## the tests of answers and generated files (seconds)
	@$(UV) run --quiet pytest -m "not full" -n 2

check: $(filter .tools/bin/uv,$(UV))  ## ruff and mypy on the template's own Python files
	@$(UV) run --quiet ruff check
	@$(UV) run --quiet ruff format --check
	@$(UV) run --quiet mypy

gates-page: $(filter .tools/bin/uv,$(UV))  ## write docs/gates.md anew: every rule, its fault and the result (minutes)
	@WRITE_PAGE=1 $(UV) run --quiet pytest -m full tests/full/test_mutations.py

bench: $(filter .tools/bin/uv,$(UV))  ## the gates against the usual chain of tools (minutes); ARGS="--only commit"
	@UV=$(UV) $(UV) run --quiet python benchmarks/gates.py $(ARGS)

bench-jobs: $(filter .tools/bin/uv,$(UV))  ## our jobs against papermill and nbclient (minutes, after `make demo`); ARGS="--only short"
	@$(UV) run --quiet python benchmarks/jobs.py $(ARGS)

bench-training: $(filter .tools/bin/uv,$(UV))  ## our training path against the bare library (minutes, after `make demo`); ARGS="--only side"
	@$(UV) run --quiet python benchmarks/training.py $(ARGS)

bench-scale: $(filter .tools/bin/uv,$(UV))  ## the shop at every size, and each part beside what is written by hand (a quarter hour); ARGS="--only features"
	@[ -d $(SCALE)/.venv ] || { rm -rf $(SCALE); \
	  $(UV) run --quiet --only-group generate cookiecutter . --no-input --default-config -o build \
	    project_name="Shop Scale" stage=pipeline; $(UV) sync --quiet --project $(SCALE) --group ray; }
	@UV=$(UV) $(UV) run --quiet python benchmarks/scale.py $(ARGS)

clean:  ## remove the demo, the tools and the caches
	@rm -rf build .venv .tools uv.lock .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.tools/bin/uv:  # no uv on this machine: one of our own, from the package index
	@python3 -m venv .tools && .tools/bin/pip install --quiet --disable-pip-version-check uv==0.13.8
