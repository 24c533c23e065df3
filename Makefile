# `make demo` trains a private CNN on this machine; `make test` runs the tests; `make check` is what must be green before a commit.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find crates -name '*.rs' -o -name Cargo.toml) Cargo.toml pyproject.toml

# Two tests at a time, each with one thread for PyTorch; then, one by one, those that wait for time-outs.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
TESTS = $(PYTEST) -n 2 --dist worksteal -m "$(1) and not alone" && $(PYTEST) -m "$(1) and alone"

.PHONY: install demo test check check-full fuzz format bench bench-full clean

install: $(VENV)/.installed

$(VENV)/.installed: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip "maturin>=1.7,<2"
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[torch,data,dev]"
	touch $@

demo: install
	$(BIN)/tacit run -n 2 examples/digits_cnn.py

test: install
	$(call TESTS,not slow)

check: install
	cargo fmt --all --check
	cargo clippy --all-targets --all-features -- -D warnings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cargo test --release --quiet -p tacit-core --all-features
	$(call TESTS,not slow)

check-full: check
	$(call TESTS,slow)
	$(MAKE) fuzz

# Hostile bytes for every decoder, a minute each, guided by what the code does with them: atheris, and libFuzzer on stable Rust.
FUZZ := crates/tacit-core/fuzz

fuzz: install
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[torch,data,dev,fuzz]"
	$(BIN)/python -m tests.hostile.fuzz
	for target in lattice code; do \
		mkdir -p target/fuzz/$$target && \
		(cd $(FUZZ) && cargo run --release --quiet --bin $$target -- -max_total_time=60 -timeout=60 \
			-artifact_prefix=../../../target/fuzz/ ../../../target/fuzz/$$target corpus/$$target) || exit 1; \
	done

format: install
	cargo fmt --all
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .

bench: install
	$(BIN)/python benchmarks/run.py $(if $(ONLY),--only $(ONLY)) $(if $(LATENCY),--latency $(LATENCY)) $(if $(BANDWIDTH),--bandwidth $(BANDWIDTH))

bench-full: install
	$(BIN)/python benchmarks/run.py --full

clean:
	rm -rf $(VENV) target
