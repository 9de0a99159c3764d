# make repro: set up and run the pipeline. make test: set up and run the tests. Both work on a fresh machine.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# What computes with Keras: tests that hold on every backend.
COMPUTING := $(addprefix tests/test_,$(addsuffix .py,backends batches checkpoint distribution efficientnet evaluate faithfulness gradcam_stage \
	gradients guard initialisation lesion machine model normalisation policy probe_stage resume saliency sanity saved training))

.PHONY: setup repro test test-backend lint lock studies compare check-repro experiments report app changes

repro: setup
	dvc repro

test: setup
	python -m pytest

# The same with another backend, which joins the environment: BACKEND=jax or torch.
BACKEND ?= jax
test-backend: setup
	python -m pip install --disable-pip-version-check -r requirements-$(BACKEND).txt
	KERAS_BACKEND=$(BACKEND) python -m pytest $(COMPUTING)

lint: setup
	ruff check
	ruff format --check
	mypy
	if command -v actionlint > /dev/null; then actionlint; fi

setup: $(VENV)/.complete

# A stamp that is as new as the requirements says that they are all installed.
$(VENV)/.complete: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11 to 3.13 is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	python -m pip install --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

# Renew requirements.txt from requirements.in.
lock:
	uv pip compile --universal --generate-hashes --python-version 3.11 requirements.in -o requirements.txt

# Renew the copies of dvc.yaml.
studies:
	for study in studies/*/; do cp dvc.yaml $$study; done

# Put pipelines, studies or revisions side by side: make compare SIDES="main:aug aug". See compare.py --help.
compare: setup
	python compare.py $(SIDES)

# Does the committed state give its committed results? STUDY=studies/compact; CHECK=--exact or --twice: bytes must hold.
check-repro: setup
	python check_repro.py $(or $(STUDY),.) $(CHECK)

# The pipelines as DVC compares them, number by number: two experiments that share all training.
experiments: setup
	dvc exp run -n noaug -S pipeline=noaug
	dvc exp run -n aug -S pipeline=aug
	dvc metrics diff noaug aug --md
	dvc plots diff noaug aug -o plots_diff

# Make each finished study's report: report.html in its folder.
report: setup
	for study in . studies/*/; do if [ -f $$study/metrics/comparison.json ]; then python report.py $$study; fi || exit 2; done

# Classify images on a web page: opens on this computer alone, needs no internet. STUDY=studies/compact names a study.
app: setup
	python app.py $(if $(STUDY),--study $(STUDY))

# What the working tree changes against a revision: parameters, metrics, confusion matrices, learning curves.
BASE ?= HEAD
changes: setup
	python .github/changes.py $(BASE)
