# make demo    show relations of a paragraph, after installing what is needed
# make test    run all checks
# make docs    write the documentation site to site/
# make results write the tables and draw the figures of what was measured
# make install the virtual environment .venv, with everything in it

PYTHON ?= python3
VENV := .venv
# Windows has its programs in another folder.
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
# Written last, so that an installation that was cut off is done again.
STAMP := $(VENV)/.installed

# Two processes of one thread each are faster than one process of two.
WORKERS ?= 2

.PHONY: install demo test docs results

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e ".[transformers,tune,openvino,graph,uima,serve,remote,qdrant,ray,docs,dev]"
	$(BIN)/python -m spacy ragre download all
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/python scripts/demo.py

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy spacy_ragre scripts benchmarks
	$(BIN)/python scripts/render_results.py --check
	$(BIN)/python scripts/render_reference.py --check
	$(BIN)/python scripts/reckon_scale.py --check
	$(BIN)/python scripts/count_any.py
	OMP_NUM_THREADS=1 $(BIN)/python -m slipcover --source spacy_ragre --json --out .coverage.json \
		-m pytest -ra --durations=10 -n $(WORKERS) --dist worksteal
# Apart from the run: with --fail-under there, what the workers covered is not in the report.
	$(BIN)/python -m slipcover --merge .coverage.json --out .coverage.json --skip-covered --fail-under 92

# Figures of what was not measured are told and left as they are.
results: $(STAMP)
	$(BIN)/python scripts/render_results.py
	-$(BIN)/python scripts/plot_results.py

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
