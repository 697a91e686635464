# make demo   set up, train a classifier, a VAE and a WGAN-GP on the shipped images, show them in runs/demo/index.html
# make test   set up, lint, type-check, test
# make quick  set up; the maths, the strategies and the inner loop on tiny nets: a minute
# make faults set up; the slow tests, and kills, signals, damage, poison: a sample of what tests/faults can do
# make proofs set up; by hand, an hour and more: further variants of the slow tests, and every published method under xla
# make bench  set up with PyTorch; ours against its peers, one to two hours on an idle machine
# make gpu    set up with CUDA's libraries and PyTorch; prove and time everything on an NVIDIA GPU, nine minutes
# make docs  set up with Sphinx; the pages of docs/ and the API reference as a site, in site/
# make lint   ruff and mypy alone
# make clean  remove the environment, caches and runs

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 2
export KERAS_BACKEND := tensorflow

.PHONY: demo test quick faults proofs lint clean setup bench gpu docs

setup: $(VENV)/.ready

$(VENV)/.ready: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/python scripts/demo.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not fault and not slow and not long'

quick: setup
	$(BIN)/python -m pytest -q -n 2 --dist load -m 'not fault and not slow and not long' -k 'not (xla or all_strategies or workers or half_precision)' \
		tests/losses tests/reporting tests/strategies/*.py tests/cycle/test_update.py tests/cycle/test_step.py \
		tests/cycle/test_adam.py tests/test_noise.py tests/test_testing.py tests/test_imports.py

faults: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,export,frames,hf,litert,mlflow,notebook,tfds,wandb]'
	$(BIN)/python -m pytest -n 2 --dist loadfile -m '(fault or slow) and not long'

proofs: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile -m long tests
	PHASELOOP_ALL=1 $(BIN)/python -m pytest -m fault tests/strategies/published/test_resume.py

bench: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python scripts/benchmark.py

gpu: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench,gpu]'
	$(BIN)/python scripts/gpu_check.py

docs: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet -d build/doctrees docs site

clean:
	rm -rf $(VENV) runs build site *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
