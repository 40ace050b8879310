# The same targets serve a laptop and CI. PYTHON may name any interpreter >= 3.11.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: setup check format test test-all bench bench-peers demo clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[train,build,dev]"
	touch $@

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: setup
	$(PYTEST) -m "not slow and not gpu"

test-all: setup
	BLANKSTREAM_FULL=1 $(PYTEST) -m "not gpu"

bench: setup
	$(BIN)/python -m benchmarks

# The loaders of others, in an environment of their own: two of them ask for packages that would
# replace the CPU build of torch, and are installed without what they ask for.
PEERS := .venv-peers
PEERS_ALONE := litdata==0.2.76 mosaicml-streaming==0.13.0

$(PEERS)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet -c constraints.txt "torch==2.13.0"
	$(PEERS)/bin/python -m pip install --quiet -c constraints.txt -e ".[peers]"
	$(PEERS)/bin/python -m pip install --quiet --no-deps $(PEERS_ALONE)
	touch $@

bench-peers: $(PEERS)/.installed
	$(PEERS)/bin/python benchmarks/stream.py --peers

demo: setup
	$(BIN)/blankstream demo --output $(DEMO)

clean:
	rm -rf $(VENV) $(PEERS) $(DEMO)
