"""Who may import whom (design, section 4), read from the sources."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("engine", "losses", "nets", "scripts", "tests")
PACKAGES = {"tensorflow", "keras", "numpy", "tqdm", "PIL"}
# Modules of scripts/ that other scripts import.
BESIDE = ("arguments", "auto", "cli", "config_file", "data_options", "early", "fields", "found", "groups", "installed",
          "remembered", "reopen", "rules", "several", "wiring", "train_classifier", "train_regression", "compare_runs",
          "brackets", "search_space", "sweep_checks", "sweep_options", "sweep_page", "sweep_plan", "sweep_run",
          "trials", "supervisor", "verdicts", "worker_environment", "worker_process", "benchmarks", "gpu")

# first match counts: (files, our modules they may import, packages they may import)
RULES = [
    ("losses/strategies/*.py", ("losses", "engine.strategy", "engine.errors"), {"tensorflow", "keras"}),
    ("losses/gradients/*.py", ("losses.",), {"tensorflow"}),
    ("losses/*.py", ("losses.",), {"tensorflow"}),
    ("nets/*.py", ("nets",), {"tensorflow", "keras"}),
    ("engine/errors.py", (), set()),
    ("engine/device.py", (), {"tensorflow"}),
    ("engine/notebook.py", (), set()),
    ("engine/quiet.py", (), set()),
    ("engine/philox.py", (), {"tensorflow"}),
    ("engine/noise.py", ("engine.errors", "engine.philox", "engine.workers.part"), {"tensorflow"}),
    ("engine/strategy.py", ("engine.errors", "engine.noise"), {"tensorflow"}),
    ("engine/workers/part.py", (), set()),
    ("engine/workers/cluster.py", ("engine.errors",), set()),
    ("engine/workers/*.py", ("engine.errors", "engine.workers"), {"tensorflow", "numpy"}),
    ("engine/data/*.py", ("engine.errors", "engine.device", "engine.noise", "engine.strategy", "engine.data",
                          "engine.workers.part"),
     PACKAGES),
    ("engine/cycle/*.py", ("engine.errors", "engine.device", "engine.philox", "engine.noise", "engine.strategy",
                          "engine.cycle", "engine.data.source", "engine.workers"),
     {"tensorflow", "keras", "numpy"}),
    ("engine/run/*.py", ("engine.errors", "engine.device", "engine.notebook", "engine.quiet", "engine.noise",
                         "engine.strategy", "engine.cycle", "engine.data", "engine.workers", "engine.run"),
     {"tensorflow", "keras", "numpy"}),
    ("engine/reporting/trackers.py", ("engine.errors", "engine.reporting"), PACKAGES),  # the trackers by name
    ("engine/reporting/*.py", ("engine.errors", "engine.notebook", "engine.run", "engine.cycle.health",
                               "engine.cycle.names", "engine.data.source", "engine.reporting",
                               "engine.trainer"), PACKAGES),  # the last as a type
    ("engine/**/*.py", ("engine",), PACKAGES),
    ("scripts/gpu/*.py", ("engine", "losses", *BESIDE, "tests.faults"), PACKAGES),
    ("scripts/**/*.py", ("engine", "losses", "nets", *BESIDE), {*PACKAGES, "torch"}),
]
FILES = sorted(path for top in OURS[:4] for path in (ROOT / top).rglob("*.py"))


def imported(path):
    """Every module that ``path`` imports, with the names that may be modules too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rule_of(path):
    """The first rule whose pattern fits; ** reaches into folders."""
    place = path.relative_to(ROOT)
    for pattern, ours, packages in RULES:
        folder, _, name = pattern.rpartition("/")
        deep = folder.endswith("**")
        folder = folder.removesuffix("/**")
        inside = place.is_relative_to(folder) if deep else str(place.parent) == folder
        if inside and (name == "*.py" or place.name == name):
            return ours, packages
    raise AssertionError(f"no rule for {place}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_it_may(path):
    ours, packages = rule_of(path)
    for module in imported(path):
        top = module.split(".")[0]
        if top in ("scripts", "tests") and not any(module.startswith(name) for name in ours):
            raise AssertionError(f"{path} imports {module}")
        if top in (*OURS, *BESIDE):
            fits = any((module + ".").startswith(allowed.rstrip(".") + ".") for allowed in ours)
            assert fits, f"{path} must not import {module}"
        else:
            assert top in packages or top in sys.stdlib_module_names, f"{path} must not import {module}"


def test_no_keras_training_in_what_we_ship():
    for path in FILES:
        if "benchmarks" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            assert called not in ("fit", "train_on_batch", "test_on_batch"), f"{path}:{node.lineno}"
