# Everything a newcomer needs, with nothing installed but Python 3.11+ and make.
#   make demo   examine the sample loans; ends by saying where the report is
#   make test   run the tests
#   make fuzz   feed every reader with broken bytes: SECONDS=3600 TARGET=csv SEED=7
PYTHON ?= python3
UV := .ci/uv-requirements.txt
READY := .venv/.ready
BIN := .venv/bin
# a file of tests stays in one process, since its tests share what they made
SIDE_BY_SIDE := -n auto --dist loadfile
export PYTHONSAFEPATH := 1

.PHONY: setup demo test test-long check format fuzz threats speed detection reference clean

setup: $(READY)

$(READY): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "Assay needs Python 3.11 to 3.13: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x .uv/bin/uv || { $(PYTHON) -m venv .uv && .uv/bin/python -m pip install --quiet \
	  --require-hashes --only-binary :all: -r $(UV); }
	.uv/bin/uv sync --locked --quiet --python $(PYTHON)
	@$(BIN)/python -m compileall -q $(BIN)/../lib || true  # imports are several times slower before
	@$(BIN)/python -m compileall -q assay.py pipelines checks provenance
	@touch $(READY)

# exit 1 is the verdict `fail`, which the faulty sample deserves
demo: $(READY)
	@$(BIN)/assay run data_samples/contract.yaml --store assay-store --flow; test $$? -le 1

test: $(READY)
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "not long"

test-long: $(READY)
	$(BIN)/pytest -m long

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "not long"

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

fuzz: $(READY)
	$(BIN)/python -P benchmarks/fuzz.py --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1) \
	  $(if $(TARGET),--target "$(TARGET)")

threats: $(READY)
	$(BIN)/python benchmarks/threats.py

# one table of all figures: ARGS="--only new known --times 3", ARGS="--against DIR"
speed: $(READY)
	$(BIN)/python -P benchmarks/speed.py $(ARGS)

# real tables: ASSAY_BENCH_DATA; PARTS="poison runs" SEEDS=5; exit 1 where a goal is missed
detection: $(READY)
	$(BIN)/python -P benchmarks/detection.py all $(PARTS) --seeds $(or $(SEEDS),5)

reference: $(READY)
	$(BIN)/python docs/make_errors.py
	$(BIN)/python docs/make_commands.py

# only what make made: a store holds a ledger, which nothing makes again
clean:
	rm -rf .venv .uv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
