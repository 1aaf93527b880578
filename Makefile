# `make demo` and `make test` set everything up, R included, and run; a second run sets up nothing.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test quick docs fuzz matrix bench check audit r r-engines r-openblas r-test clean image image-trixie

help:
	@echo "make demo          set up, and run the vignette on the hsb data: tables, and a report"
	@echo "make test          set up, and run every test"
	@echo "make quick         the tests that are fast, in under a minute"
	@echo "make docs          build the documentation site, its notebooks run: site/html/index.html"
	@echo "make fuzz          10,000 made-up frames to R and back, and saved files tampered with"
	@echo "make matrix        the tests under every Python here, with old and new pandas and numpy"
	@echo "make bench         every benchmark, side by side with its peers; some: ROWS=\"fits frames\""
	@echo "make check         ruff, ruff format, mypy"
	@echo "make audit         ask the package index for known holes in what the image has locked"
	@echo "make image         build the container image (Debian 12, R 4.2), run it, test in it"
	@echo "make image-trixie  the same on Debian 13, R 4.5"
	@echo "make r             R and the R packages that the library needs"
	@echo "make r-engines     that, and mice, jomo and pan"
	@echo "make r-openblas    that of make r, and OpenBLAS: large models are fitted 2.8 times as fast"

demo: $(READY)
	$(BIN)/rbridge-mi demo --out demo-output

test: $(READY) r-test
	$(BIN)/python -m pytest -n 2 --dist loadfile

quick: $(READY)
	$(BIN)/python -m pytest tests -m "not slow and not processes" -n 2 --dist loadfile -q

# A warning is an error. What the notebooks showed is kept in build/notebooks, per state of the code.
docs: $(READY) r-test
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going docs site/html

fuzz: $(READY)
	RBRIDGE_FUZZ=10000 RBRIDGE_TAMPERED=4000 $(BIN)/python -m pytest tests/whole/test_fuzz.py tests/storage/test_tampered.py --timeout 3600

matrix: $(READY) r-test
	$(BIN)/python tests/matrix.py

bench: $(READY) r-test
	$(BIN)/python benchmarks/run.py $(if $(ROWS),--rows $(ROWS))

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# --strict: what the index can't answer for is a failure, not a pass.
audit: $(READY)
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r docker/requirements.txt

r:
	r/install.sh

r-engines:
	r/install.sh --engines

r-openblas:
	r/install.sh --openblas

r-test:
	r/install.sh --test

# rpy2-rinterface is compiled against the R that it finds, so R comes first; in API mode a failure
# to compile is an error, not a silent fallback. A cached wheel may have been built for another R.
$(READY): pyproject.toml r/install.sh r/packages.txt
	PYTHON=$(PYTHON) r/install.sh
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	RPY2_CFFI_MODE=API $(BIN)/python -m pip install --quiet --no-binary rpy2-rinterface \
		--editable ".[docs,parquet,report]" --group dev
	touch $(READY)

image:
	docker/check.sh bookworm

image-trixie:
	docker/check.sh trixie

clean:
	rm -rf $(VENV) dist build site demo-output .pytest_cache .mypy_cache .ruff_cache
