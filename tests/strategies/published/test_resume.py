"""Every published method, killed and continued in a new process, ends with the bits of a run that was never stopped.

Each process runs all methods, so that TensorFlow is started twice and not a hundred times. Under xla, which takes
long to compile, a test runs one method of each kind of declaration, and by hand all of them:

  PHASELOOP_ALL=1 python -m pytest tests/strategies/published/test_resume.py         some 20 minutes
"""

import contextlib
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in HERE.glob("test_*.py") if path.stem != "test_resume")
PLANS = ("graph", "xla")
SAMPLE = ("test_byol.BYOL_METHOD", "test_cyclegan.METHOD", "test_language_model.RAGGED",
          "test_lazy_regularization.LAZY", "test_moco.MOCO", "test_plateau.METHOD", "test_sam.SHIPPED",
          "test_schedules.RESTING", "test_swa.METHOD", "test_two_rates.CLIPPED", "test_vqvae.VQ")
STOP = 7  # in the middle of a call, after a checkpoint at 6


def methods():
    """{name: Method} of all test files."""
    found = {}
    for name in NAMES:
        module = importlib.import_module(f"tests.strategies.published.{name}")
        found |= {f"{name}.{attribute}": value for attribute, value in vars(module).items()
                  if type(value).__name__ == "Method"}
    return found


def chosen(plan):
    """The methods that are run."""
    found = methods()
    return found if plan == "graph" or os.environ.get("PHASELOOP_ALL") else {name: found[name] for name in SAMPLE}


def session(plan, folder, stop):
    """Run every chosen method to ``stop`` or to its end; {name: hash of its state} of those that reached the end."""
    from tests.strategies.published.method import Killed, saving, state_hash

    ends = {}
    for name, method in chosen(plan).items():
        trainer = saving(method, plan, Path(folder) / name, STOP if stop else None)
        assert trainer.continued == (not stop) or "whole" in folder, name
        with contextlib.suppress(Killed):
            trainer.train(cycles=method.cycles)
            ends[name] = state_hash(trainer)
    return ends


def other_process(plan, folder, stop):
    """``session`` in a process of its own, which ends without tidying up if it is to ``stop``."""
    module = "tests.strategies.published.test_resume"
    done = subprocess.run([sys.executable, "-m", module, plan, str(folder), str(stop)], cwd=HERE.parents[2], text=True,
                          capture_output=True, timeout=900, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    assert done.returncode == (9 if stop else 0), done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.fault
@pytest.mark.parametrize("plan", PLANS)
def test_killed_and_continued_in_a_new_process_ends_with_the_same_bits(plan, tmp_path):
    assert other_process(plan, tmp_path / "parts", stop=1) == {}
    ends = other_process(plan, tmp_path / "parts", stop=0)
    whole = session(plan, str(tmp_path / "whole"), stop=False)
    assert set(ends) == set(chosen(plan))
    assert {name for name, end in ends.items() if end != whole[name]} == set()


def test_no_strategy_is_longer_than_it_should_be():
    long = {name: (method.written, method.lines) for name, method in methods().items()
            if method.lines is not None and method.written > method.lines}
    assert long == {}


if __name__ == "__main__":
    plan, folder, stop = sys.argv[1:]
    print(json.dumps(session(plan, folder, stop == "1")), flush=True)
    if stop == "1":
        os._exit(9)
