# Two commands work on a bare machine with Python >= 3.11: `make report` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup check test test-slow test-processors mutants torture fuzz bench report audit demo docs clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt benchmarks/peers.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Backlight needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement benchmarks/peers.txt
	touch $(READY)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# One thread per worker: two workers that each start two threads on two cores only get in each other's way. Files stay
# whole, so that what the tests of one share is made once.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --quiet --numprocesses 2 --dist loadfile -m "not slow"

test-slow: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --quiet --numprocesses 2 --dist loadfile -m slow

# Break the program in the ways of tools/mutants.toml, one at a time: the tests must notice each.
mutants: setup
	$(BIN)/python tools/mutants.py

# Kill eight verbs thirty times each, fill their disks, take their folders away: nothing may be lost, left or changed.
torture: setup
	$(BIN)/python -m tools.torture

# The tests of numerical promises once more, with the kernels of other processors.
test-processors: setup
	.ci/processors $(BIN)/python

# Hostile files and texts for every loader and grammar; what is found is saved below tests/fuzz/found. It goes on where
# it was stopped. Less of it: make fuzz COUNT=2000 SEED=1 ONLY=npz
COUNT ?= 20000
SEED ?= 0
fuzz: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.fuzz --count $(COUNT) --seed $(SEED) $(if $(ONLY),--only "$(ONLY)")

# Every figure beside its peer; what is kept of them is compared with what was kept last. Less of it: make bench QUICK=--quick
bench: setup
	$(BIN)/python benchmarks/history.py $(QUICK)

# A small data set with planted faults, drawn, a network trained on it, and the page that finds them.
AUDIT := backlight-out/audit-demo
audit: setup
	rm -rf $(AUDIT)
	$(BIN)/python examples/audit/demo.py $(AUDIT)
	$(BIN)/backlight audit --model $(AUDIT)/model --data $(AUDIT)/data --train $(AUDIT)/data --out $(AUDIT)/page

# The page of `backlight app` as plain files, with answers about the sample pictures: open index.html from the disk.
DEMO := backlight-out/demo
demo: setup
	$(BIN)/python -m tools.demo $(DEMO)

report: setup
	$(BIN)/backlight report --out report.html --force

# GALLERY=0 builds every page but does not run the studies. One thread: two gain little on the gallery's small networks,
# lose much on a busy machine, and train slightly other networks.
GALLERY ?= 1
docs: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -b html -D plot_gallery=$(GALLERY) docs docs/_build/html

clean:
	rm -rf .venv build docs/_build docs/api docs/measured docs/gallery docs/sg_execution_times.rst report.html backlight-out
