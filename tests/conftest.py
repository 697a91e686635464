"""The same start for every test; what is slow."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ["NO_COLOR"] = "1"  # whatever the terminal is that tests are run on

import keras
import pytest

from engine import prepare

TIERS = {name: set(Path(__file__).with_name(f"{name}.txt").read_text().splitlines()) for name in ("slow", "long")}


def pytest_collection_modifyitems(config, items):
    found = {item.nodeid for item in items}
    files = {name.partition("::")[0] for name in found}
    gone = {name for tests in TIERS.values() for name in tests if name.partition("::")[0] in files} - found
    if gone and not any("::" in argument for argument in config.args):
        raise pytest.UsageError("\n".join(["tests/slow.txt or tests/long.txt names what is not there:", *sorted(gone)]))
    for item in items:
        for name, tests in TIERS.items():
            if item.nodeid in tests:
                item.add_marker(name)


@pytest.fixture(autouse=True)
def _same_start():
    """Every test starts with the same seed, in float32."""
    prepare(0)
    yield
    keras.config.set_dtype_policy("float32")
