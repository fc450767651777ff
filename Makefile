# Each target makes what it needs: `make demo` on a bare machine is enough.
# PYTHON (3.9 to 3.13) makes the virtual environment. Once the environment works,
# its own Python is used: another one would rebuild all of it.
VENV := .venv/bin/python
CODE := mmseg_afa tools tests setup.py
PYTHON ?= $(shell $(VENV) -c '' 2>/dev/null && echo $(VENV) || echo python3)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format clean distclean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /: /'

setup:  ## make .venv with the tested set of libraries
	@$(PYTHON) tools/setup_env.py

demo: setup  ## write the demo data, train AFA on it, evaluate, draw
	@$(VENV) tools/demo/demo.py

# Up to four processes run tests, and some tests start more: torch takes one
# thread in each. SLOW=1 adds the tests that are marked slow.
test: setup  ## run the tests; ARGS goes to pytest
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(VENV) -m pytest tests \
		-n $$($(VENV) -c 'import os; print(min(4, os.cpu_count() or 1))') \
		--dist loadfile --no-loadscope-reorder \
		$(if $(SLOW),,-m "not slow") $(ARGS)

lint: setup  ## check style
	@$(VENV) -m ruff check --quiet
	@$(VENV) -m isort --check-only --quiet $(CODE) configs
	@$(VENV) -m yapf --diff --parallel --recursive $(CODE)
	@.venv/bin/codespell

format: setup  ## sort imports and lay out the code
	@$(VENV) -m isort --quiet $(CODE) configs
	@$(VENV) -m yapf --in-place --parallel --recursive $(CODE)

clean:  ## remove caches and build products
	@rm -rf build dist *.egg-info .pytest_cache .hypothesis
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean  ## also remove the virtual environment
	@rm -rf .venv
