# Needs Python 3.10 or newer, make and git; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
# What `make demo` trains; `make demo EPOCHS=10` is the lecture's own length.
CONFIG ?= configs/mnist_cnn.yaml
EPOCHS ?= 2
# How many processes run the tests: each of them imports TensorFlow.
TEST_PROCESSES ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo test lint types unit benchmark catalogue schema configs clean

help:  ## Show these lines
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

install: $(INSTALLED)  ## Make the virtual environment .venv and install dlcli into it

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[dev]'
	@touch $@

demo: $(INSTALLED)  ## Train and evaluate configs/mnist_cnn.yaml, on whatever data can be reached
	@$(VENV)/bin/dlcli train $(CONFIG) --epochs $(EPOCHS)
	@$(VENV)/bin/dlcli evaluate runs/$(basename $(notdir $(CONFIG)))

test: lint types unit  ## Lint, check types and import directions, and run all tests

lint: $(INSTALLED)  ## Check style and the direction of imports
	$(VENV)/bin/ruff check .
	$(VENV)/bin/lint-imports

types: $(INSTALLED)  ## Check types
	$(VENV)/bin/mypy

unit: $(INSTALLED)  ## Run the tests
	$(VENV)/bin/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

benchmark: $(INSTALLED)  ## Time dlcli beside plain Keras and, if installed, PyTorch and Lightning; needs DLCLI_DATA_DIR with MNIST
	$(VENV)/bin/python -m tests.benchmarks $(NETWORKS)

catalogue: $(INSTALLED)  ## Make the catalogue of Keras names anew, for the installed Keras
	$(VENV)/bin/python -m dlcli.model.catalogue dlcli/spec

schema: $(INSTALLED)  ## Make the JSON Schema of specs anew, for editors
	$(VENV)/bin/dlcli schema --output configs/dlcli.schema.json

configs: $(INSTALLED)  ## Make configs/README.md anew from the headers of the configs
	$(VENV)/bin/python -m tests.config_headers

clean:  ## Remove the virtual environment and all caches, never the runs
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info
	find dlcli tests -name __pycache__ -type d -exec rm -rf {} +
