# Each target makes what it needs: `make demo` on a bare machine is enough.
# PYTHON (3.9 to 3.12) makes the virtual environment. Once the environment works,
# its own Python is used: another one would rebuild all of it.
VENV := .venv/bin/python
PYTHON ?= $(shell $(VENV) -c '' 2>/dev/null && echo $(VENV) || echo python3)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format clean distclean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /: /'

setup:  ## make .venv with the tested set of libraries
	@$(PYTHON) tools/setup_env.py

demo: setup  ## write the demo data, train AFA on it, evaluate, draw
	@$(VENV) tools/demo/demo.py $(ARGS)

# Up to four processes of tests, which themselves start some: torch must not
# start a thread for each processor in each of them. ARGS="-n 0" takes one.
test: setup  ## run the tests; ARGS goes to pytest
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(VENV) -m pytest tests \
		-n $$($(VENV) -c 'import os; print(min(4, os.cpu_count() or 1))') \
		--dist loadfile $(ARGS)

lint: setup  ## check style
	@$(VENV) -m flake8
	@$(VENV) -m isort --check-only --quiet mmseg_afa tools tests configs setup.py
	@$(VENV) -m yapf --diff --recursive mmseg_afa tools tests setup.py
	@.venv/bin/codespell

format: setup  ## put imports and layout in order
	@$(VENV) -m isort --quiet mmseg_afa tools tests configs setup.py
	@$(VENV) -m yapf --in-place --recursive mmseg_afa tools tests setup.py

clean:  ## remove caches and build products
	@rm -rf build dist *.egg-info .pytest_cache .hypothesis
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

distclean: clean  ## also remove the virtual environment
	@rm -rf .venv
