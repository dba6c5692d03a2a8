# Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
# The release of torch that the project is developed against; TORCH= takes any.
TORCH ?= torch==2.13.0
BIN := .venv/bin
# A folder with the IDX files of the full MNIST, for quickstart.
DATA ?=
TUTORIALS := $(wildcard examples/tutorials/*.py)
# Executed, for the documentation; and without outputs, for Colab.
NOTEBOOKS := $(TUTORIALS:examples/%.py=docs/%.ipynb)
COLAB := $(TUTORIALS:.py=.ipynb)
LIBRARY := $(shell find snntorch -name "*.py")
# A tag such as v1.1.0, for release-check.
RELEASE ?=
BUILD := .venv-build
PEER := .venv-peer
JELLY := .venv-spikingjelly
INTEROP := .venv-interop
SIZES := $(addprefix leaky_,1x16 32x100 128x128 128x1000)
STEPS := $(addprefix step.,$(addsuffix _forward,$(SIZES)) $(SIZES) leaky_zero leaky_learnable lapicque)
STEPS += $(addprefix step.,synaptic alpha rleaky rsynaptic)
SEQUENCES := $(addprefix sequence.,leaky leaky_learnable lapicque synaptic alpha rleaky rleaky_dense slstm)
NETWORKS := $(addprefix networks.,quickstart_training quickstart_inference dense_training)
LOOPS := $(foreach work,training inference,$(addprefix loops.$(work):,dense quickstart traces))
PATTERNS := $(addprefix loops.training:,static records images accumulator hidden lists)
PATTERNS += $(addprefix loops.training:,regression blocks streams feedback step)

.PHONY: help quickstart test test-all compat-proof lint format notebooks docs bench gpu-check
.PHONY: interop clean dist ipu-wheel wheel-check release-check

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# torch goes in first and is then held, so that no later package replaces it.
.venv/torch: Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip freeze | grep '^torch==' | sed 's/+.*//' > $@

.venv/user: .venv/torch pyproject.toml
	$(BIN)/pip install --quiet --constraint .venv/torch --editable .
	touch $@

.venv/dev: .venv/torch pyproject.toml
	$(BIN)/pip install --quiet --constraint .venv/torch --editable ".[dev]"
	touch .venv/user $@

.venv/tutorials: .venv/dev
	$(BIN)/pip install --quiet --constraint .venv/torch --editable ".[tutorials]"
	touch $@

quickstart: .venv/user  ## train a spiking network on handwritten digits
	$(BIN)/python examples/quickstart.py $(if $(DATA),--data $(DATA))

test: .venv/dev  ## run the tests
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: .venv/dev  ## run all tests, the slow ones too
	$(BIN)/python -m pytest -n 2

compat-proof: $(PEER)/ready  ## check on release 1.0.0 what tests/compat and tests/kept claim
	$(PEER)/bin/python tests/compat/proof.py failed tests/compat
	$(PEER)/bin/python tests/compat/proof.py passed tests/kept

lint: .venv/dev  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/dev  ## put the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: .venv/tutorials  ## run the tutorials, those that changed or all if the library did
	$(MAKE) --jobs 2 $(NOTEBOOKS) $(COLAB)

# One thread each: two run at a time. Nothing of them may ask the network.
docs/tutorials/%.ipynb: examples/tutorials/%.py $(LIBRARY)
	OMP_NUM_THREADS=1 PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
		$(BIN)/jupytext --quiet --to ipynb --execute --output $@ $<

examples/tutorials/%.ipynb: examples/tutorials/%.py
	$(BIN)/jupytext --quiet --to ipynb --update $<

docs: notebooks  ## build the documentation into docs/_build
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build

# Release 1.0.0 in a separate environment; it declares none of what it imports.
$(PEER)/ready: .venv/torch
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/pip install --quiet "$(TORCH)"
	$(PEER)/bin/pip install --quiet --constraint .venv/torch snntorch==1.0.0 \
		numpy pandas matplotlib nir nirtorch pytest pytest-timeout tqdm
	touch $@

$(JELLY)/ready: .venv/torch
	$(PYTHON) -m venv $(JELLY)
	$(JELLY)/bin/pip install --quiet "$(TORCH)"
	$(JELLY)/bin/pip install --quiet --constraint .venv/torch spikingjelly==2.0.0
	touch $@

bench: .venv/user $(PEER)/ready $(JELLY)/ready  ## compare the speed with release 1.0.0
	$(BIN)/python benchmarks/harness.py --peer $(PEER)/bin/python $(STEPS) $(SEQUENCES) $(NETWORKS)
	$(BIN)/python benchmarks/harness.py --peer $(PEER)/bin/python --way plain --way unrolled $(LOOPS)
	$(BIN)/python benchmarks/harness.py --peer $(PEER)/bin/python --way plain $(PATTERNS)
	$(BIN)/python benchmarks/harness.py --peer $(JELLY)/bin/python peers.lif
	$(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/own_neuron.py
	$(BIN)/python benchmarks/memory.py --peer $(PEER)/bin/python
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/plots.py

# With what is installed: machines with a GPU often have no package index.
gpu-check:  ## check and measure the CUDA backend on this machine's GPU
	$(PYTHON) benchmarks/gpu_check.py

# sinabs asks for an older nir than ours, whose nodes lack v_reset, but runs with this one.
$(INTEROP)/ready: .venv/torch pyproject.toml
	$(PYTHON) -m venv $(INTEROP)
	$(INTEROP)/bin/pip install --quiet "$(TORCH)"
	$(INTEROP)/bin/pip install --quiet --constraint .venv/torch pytest pytest-timeout \
		norse==1.1.0 sinabs==3.1.3 spikingjelly==2.0.0
	$(INTEROP)/bin/pip install --quiet --no-deps nir==1.0.8 nirtorch==2.6 --editable .
	$(INTEROP)/bin/pip install --quiet --constraint .venv/torch numba matplotlib celluloid tqdm
	touch $@

interop: $(INTEROP)/ready  ## exchange networks with other simulators by NIR
	$(INTEROP)/bin/python -m pytest --noconftest -p no:cacheprovider tests/interop

$(BUILD)/ready: Makefile
	$(PYTHON) -m venv $(BUILD)
	$(BUILD)/bin/pip install --quiet build twine check-jsonschema py-rattler-build
	touch $@

# What an earlier build left would be taken for a part of the source.
dist: $(BUILD)/ready  ## build the source distribution and the wheels into dist
	rm -rf dist build *.egg-info
	$(BUILD)/bin/python -m build
	$(BUILD)/bin/python tools/ipu_wheel.py
	$(BUILD)/bin/twine check --strict dist/*

ipu-wheel: $(BUILD)/ready  ## build the wheel of snntorch-ipu into dist
	$(BUILD)/bin/python tools/ipu_wheel.py

wheel-check: dist  ## install what dist made into empty environments and run the tests there
	$(PYTHON) tools/try_dist.py "$(TORCH)" dist/snntorch-[0-9]* -- -m "not slow"

# Conda's channels take no clone: whoever submits the recipe there runs their linter too.
release-check: dist docs  ## tell what keeps the tree from being released
	$(BUILD)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BUILD)/bin/python tools/render_recipe.py
	$(BIN)/python tools/release_check.py $(RELEASE)

clean:  ## remove what the other targets made
	rm -rf .venv $(PEER) $(JELLY) $(INTEROP) $(BUILD) docs/_build examples/output build dist
	rm -rf docs/tutorials/*.ipynb docs/tutorials/thumbnails docs/jupyter_execute *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
