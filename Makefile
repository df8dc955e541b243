# Everything goes through here, locally and in CI alike.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup exporters sweep test check core lint types coverage bench docs clean

setup: $(STAMP)  ## make .venv with everything pinned in constraints.txt

# torch first and by exact version: the plain index name may resolve to a much larger CUDA build.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

sweep: setup  ## the main job on this machine
	$(BIN)/evalkit sweep --out runs/quickstart

# MLflow and W&B bring libraries that nothing else here should see: their tests have an environment of their own, which finds
# all the rest in that of the tests.
exporters: setup  ## MLflow and W&B, for the tests of exporters
	$(PYTHON) -m venv .venv-exporters
	.venv-exporters/bin/python -m pip install --quiet --disable-pip-version-check \
	  "mlflow==3.17.2" "wandb==0.31.0" "numpy<2" "pandas>=3" "pyarrow<24"
	$(BIN)/python -c "import site; print(site.getsitepackages()[0])" > \
	  "$$(.venv-exporters/bin/python -c "import site; print(site.getsitepackages()[0])")/zz_tests.pth"

test: setup  ## lint, types and all tests that this machine can run
	$(MAKE) --no-print-directory check

check: lint types
	$(BIN)/python -m pytest -q -n auto --dist loadfile

core: setup  ## the tests of the core, for a second Python
	$(BIN)/python -m pytest -q -n auto --dist loadfile tests/metrics tests/stats tests/analysis tests/decisions \
	  tests/runs tests/execution tests/test_types.py tests/test_wheel.py tests/test_sample_run.py

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

coverage: setup
	$(BIN)/python -m pytest -q -n auto --dist loadfile --cov --cov-report=term-missing:skip-covered

bench: setup  ## timings and memory, never part of the tests
	$(BIN)/python -m pytest tests/benchmarks -q -p no:xdist --benchmark-only --benchmark-disable-gc

docs: setup  ## the documentation as a site in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) .venv-3.12 .pytest_cache .mypy_cache .ruff_cache .coverage site
