# Sets up, demonstrates and tests; needs python3 (3.12 or later) with venv, and gcc. Nothing is done twice.
# As root on Debian, `make env` also installs the graphics libraries that gmsh leans on; it says so.
#
#   make demo      the main job: one membrane under four laws
#   make test      the tests, in two processes
#   make docs      the documents as a site
#   make env       only set up, into .venv
#
# With a FEniCSx of conda or Spack, activated:  make env FENICSX=system

FENICSX ?= wheel
PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.complete-$(FENICSX)

export OMP_NUM_THREADS ?= 1
# Hundreds of tests start a process of their own, which should find its modules compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test docs env lint meshes clean

demo: env
	$(BIN)/pnp-exclusion compare examples/membrane.toml -o results/demo --overwrite
	@echo "results: results/demo (comparison.png)"

test: env meshes
	$(BIN)/python -m pytest -n 2 --dist loadfile

docs: env
	$(UV) pip install --quiet --python $(BIN)/python --editable ".[docs]"
	$(BIN)/python -m sphinx -q --fail-on-warning --keep-going -b html docs docs/_build
	@echo "site: docs/_build/index.html"

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

meshes: meshes/slit.msh meshes/sphere.msh meshes/nanopore.msh meshes/nanopore_3d.msh

meshes/%.msh: meshes/%.py | $(STAMP)
	$(BIN)/pnp-exclusion mesh $<

env: $(STAMP)

# uv where it is found, otherwise in a folder of its own
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet uv

ifeq ($(FENICSX),system)
EXTRAS     := gmsh,test
VENV_FLAGS := --system-site-packages
else
EXTRAS     := fenicsx,gmsh,test
VENV_FLAGS :=
endif

# python3 if it is new enough, otherwise whatever newer one uv finds
FIND_PYTHON := $(PYTHON) -c 'import sys; print(sys.executable if sys.version_info >= (3, 12) else "3.13")'

$(STAMP): pyproject.toml scripts/system_libraries.sh | $(filter .uv/bin/uv,$(UV))
	$(UV) venv --quiet --clear --seed $(VENV_FLAGS) --python "$$($(FIND_PYTHON))" $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --editable ".[$(EXTRAS)]"
	sh scripts/system_libraries.sh $(BIN)/python
	touch $@

clean:
	rm -rf $(VENV) .uv results
