# make repro: set up and run the pipeline. make test: set up and run the tests. Both work on a fresh machine.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
INSTALL := python -m pip install --disable-pip-version-check

.PHONY: repro test test-backend lint environment setup setup-dev lock studies compare check-repro experiments report app changes

repro: setup
	dvc repro

test: setup-dev
	python -m pytest -n auto --maxprocesses 4 --dist loadfile

# What computes with Keras, on its other backend.
test-backend: setup-dev
	$(INSTALL) --require-hashes -r requirements-jax.txt
	KERAS_BACKEND=jax python -m pytest tests/network tests/explanation tests/stages/test_gradcam.py \
		tests/stages/test_guard.py tests/stages/test_probe.py tests/integration/test_elsewhere.py

lint: setup-dev
	ruff check
	ruff format --check
	mypy
	if command -v actionlint > /dev/null; then actionlint; fi

# A stamp that is newer than what it was made from says that all of it is installed.
environment: $(VENV)/.environment
# A copy without git, as GitHub's "Download ZIP" gives it, runs too, once DVC has been told.
setup: $(VENV)/.package
	@test -e .git || git rev-parse > /dev/null 2>&1 || dvc config --local core.no_scm true
setup-dev: $(VENV)/.dev

$(VENV)/.environment: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11 to 3.13 is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes -r requirements.txt
	touch $@

# By the setuptools of the environment, so that nothing is downloaded.
$(VENV)/.package: $(VENV)/.environment pyproject.toml
	$(INSTALL) --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.package requirements-dev.txt
	$(INSTALL) --require-hashes -r requirements-dev.txt
	touch $@

# Renew the locks from pyproject.toml: of what a run needs, with page and report; of what the tests and JAX add to it.
COMPILE := uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock"
lock:
	$(COMPILE) pyproject.toml --extra web --extra report -o requirements.txt
	for extra in dev jax; do \
		$(PYTHON) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['$$extra'], sep='\n')" | \
		$(COMPILE) --constraints requirements.txt - -o requirements-$$extra.txt || exit; done

# Renew the copies of dvc.yaml.
studies:
	for study in studies/*/; do cp dvc.yaml $$study; done

# Put pipelines, studies or revisions side by side: make compare SIDES="main:aug aug". See brain-mri compare --help.
compare: setup
	brain-mri compare $(SIDES)

# Does the committed state give its committed results? STUDY=studies/compact; CHECK=--exact or --twice: bytes must hold.
check-repro: setup
	brain-mri check $(or $(STUDY),.) $(CHECK)

# The pipelines as DVC compares them, number by number: two experiments that share all training.
experiments: setup
	dvc exp run -n noaug -S pipeline=noaug
	dvc exp run -n aug -S pipeline=aug
	dvc metrics diff noaug aug --md
	dvc plots diff noaug aug -o plots_diff

# Make each finished study's report: report.html in its folder.
report: setup
	for study in . studies/*/; do if [ -f $$study/metrics/comparison.json ]; then brain-mri report $$study; fi || exit 2; done

# Classify images on a web page: opens on this computer alone, needs no internet. STUDY=studies/compact names a study.
app: setup
	brain-mri app $(if $(STUDY),--study $(STUDY))

# What the working tree changes against a revision: parameters, metrics, confusion matrices, learning curves.
BASE ?= HEAD
changes: setup
	python .github/changes.py $(BASE)
