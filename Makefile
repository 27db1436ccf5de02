PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Compiling all of evo_qnas takes seconds, and tests start many processes: all read what the first has compiled.
export PYTHONDONTWRITEBYTECODE :=

EXTRAS := train,onnx,tflite,optuna,age-moea2,dask,test,lint
# make check COVERAGE="-m '' --cov --cov-report=term --cov-fail-under=95" is what runs at night: it takes longer.
COVERAGE ?=
# worksteal: each worker begins with one half of the tests, so that most modules stay in one worker with their fixtures.
PARALLEL := -n 2 --dist worksteal

PAGES := docs/reference
# Three picks by size, without the two ends of the front, and twelve random networks instead of 24.
DEMO := --set "validation.size_shares=[0.67, 0.5, 0.4]" --set validation.least_picks=3 --set validation.random_networks=12

.PHONY: demo test test-all check check-wheel names pages docs install install-dev clean

$(VENV)/.run: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --no-compile "torch>=2.9,<2.14"
	$(BIN)/pip install -q --no-compile -e ".[train,onnx]"
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/pip install -q -e ".[$(EXTRAS)]"
	touch $@

install: $(VENV)/.run           ## the library with what trains networks and makes ONNX files
install-dev: $(VENV)/.dev       ## and what tests and checks need

demo: $(VENV)/.run              ## the whole method on real images to an ONNX file, with fewer networks than the card has
	$(BIN)/evo-qnas run digits -o results/demo $(DEMO)
	$(BIN)/evo-qnas export results/demo -o results/demo/best.onnx
	@echo
	@echo "The best network is results/demo/best.onnx. Open results/demo/report.html in a browser."
	@echo "Next, a model of your own: $(BIN)/python examples/your_own_model.py results/mine"

test: $(VENV)/.dev              ## fast tests, in parallel
	$(BIN)/pytest -q $(PARALLEL)

test-all: $(VENV)/.dev          ## slow and GPU tests too
	$(BIN)/pip install -q "transformers>=4.50"
	$(BIN)/pytest -q $(PARALLEL) -m ""

check: $(VENV)/.dev             ## lint, format, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q $(PARALLEL) $(COVERAGE)

check-wheel:                    ## the wheel, made from the sdist, installed outside the checkout and running the digits card
	PYTHON=$(PYTHON) .ci/wheel

names: $(VENV)/.dev             ## the stored listing of public names, after a change of them that is meant
	$(BIN)/python -m tests.tools.public_names

pages: $(VENV)/.dev             ## the pages that are written from the sources: card keys, commands, operations, Python interface
	$(BIN)/python -m evo_qnas.pipeline.cards.reference $(PAGES)
	$(BIN)/python -m evo_qnas.cli.reference $(PAGES)
	$(BIN)/python -m evo_qnas.networks.export.operations_table docs/operations.md
	$(BIN)/python -m tests.tools.api_pages

docs: $(VENV)/.dev              ## the documentation's site in site/, without a warning
	$(BIN)/pip install -q -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) dist site .cache .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
