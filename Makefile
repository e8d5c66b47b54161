# make demo    show relations of a paragraph, after installing what is needed
# make test    run all checks
# make install the virtual environment .venv, with everything in it

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Written last, so that an installation that was cut off is done again.
STAMP := $(VENV)/.installed

.PHONY: install demo test

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e ".[transformers,tune,openvino,dev]"
	$(BIN)/python -m spacy ragre download all
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/python scripts/demo.py

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy spacy_ragre scripts
	$(BIN)/python scripts/render_results.py --check
	$(BIN)/python -m pytest -ra --durations=10
