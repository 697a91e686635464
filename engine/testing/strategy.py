"""Whole strategies: that they continue with the same bits, that plans agree, that a phase is separable."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from engine.errors import require
from engine.run.state import variables_of
from engine.strategy import LossStrategy
from engine.testing.phase import try_phase
from engine.trainer import Trainer

Make = Callable[..., Trainer]


def assert_resumes(make: Make, cycles: int = 6, stop: int = 3) -> None:
    """Assert that a run that was left at a checkpoint and continued ends with the bits of one that was not.

    Example: ``assert_resumes(lambda **options: Trainer(MyStrategy(), my_nets(), Adam(1e-3), my_source(), **options))``.

    Args:
      make: ``make(run_dir=..., plan=...)`` gives a trainer of freshly made nets, optimizers and sources, always of the
        same initial weights.
      cycles: Cycles of the whole run. stop: Cycles after which it is left.
    """
    require(0 < stop < cycles, "stop", stop, f"between 0 and {cycles}")
    with tempfile.TemporaryDirectory() as folder:
        whole = make(run_dir=Path(folder) / "whole", plan="graph")
        whole.train(cycles=cycles)
        part = make(run_dir=Path(folder) / "part", plan="graph")
        part.train(cycles=stop)
        part.save()
        shutil.copytree(Path(folder) / "part", Path(folder) / "again")
        part.train(cycles=cycles)  # of no effect on the copy
        again = make(run_dir=Path(folder) / "again", plan="graph")
        _assert(again.counters.cycles == stop, f"continued at cycle {again.counters.cycles}, not {stop}")
        again.train(cycles=cycles)
        _assert_close(again, whole, 0.0, 0.0, "of the continued run")


def assert_same_under_plans(make: Make, cycles: int = 3, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Assert that eager, graph and XLA train to the same state within rounding. Dropout draws other masks under XLA.

    Args:
      make: The same as of ``assert_resumes``.
    """
    made = {}
    for plan in ("eager", "graph", "xla"):
        made[plan] = make(run_dir=None, plan=plan)
        made[plan].train(cycles=cycles)
    for plan in ("graph", "xla"):
        _assert_close(made[plan], made["eager"], rtol, atol, f"under {plan}, against eager")


def assert_per_example(strategy: LossStrategy, phase: str, nets: Mapping[str, Any], batch: Mapping[str, np.ndarray],
                       rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Assert that no example's terms depend on the others: ``Phase(separable=True)`` is true of this batch.

    The mean of each term must be the same over the batch, over the batch twice, and over two equal parts of it. Only
    for a loss without draws.
    """
    once = try_phase(strategy, phase, nets, batch)
    twice = try_phase(strategy, phase, nets, {name: np.concatenate([values, values]) for name, values in batch.items()})
    parts = [try_phase(strategy, phase, nets, {name: values[part] for name, values in batch.items()})
             for part in _parts(len(next(iter(batch.values()))))]
    for name, value in once.means.items():
        if name == "gradient_norm":
            continue
        mean = float(np.mean([part.means[name] for part in parts]))
        for found, what in ((twice.means[name], "of the batch twice"), (mean, "of its parts")):
            _assert(np.isclose(found, value, rtol=rtol, atol=atol), f"{phase}/{name} is {value:.6g} of the batch and "
                    f"{found:.6g} {what}: examples depend on each other")


def _parts(examples: int) -> Sequence[slice]:
    require(examples >= 2 and examples % 2 == 0, "batch", f"{examples} examples", "of an even number of examples")
    return slice(0, examples // 2), slice(examples // 2, examples)


def _assert_close(found: Trainer, expected: Trainer, rtol: float, atol: float, what: str) -> None:
    _assert(found.engine.place == expected.engine.place, f"{found.engine.place} {what}, not {expected.engine.place}")
    theirs = variables_of(expected.engine)
    for name, variable in variables_of(found.engine).items():
        ours, wanted = (np.asarray(tf.convert_to_tensor(each)) for each in (variable, theirs[name]))
        same = np.array_equal(ours, wanted) if rtol == atol == 0.0 else np.allclose(ours, wanted, rtol=rtol, atol=atol)
        _assert(same, f"{name} {what} is another: at most {np.abs(ours.astype(float) - wanted).max():.3g} apart")


def _assert(holds: Any, message: str) -> None:
    """Also where Python leaves out ``assert``."""
    if not holds:
        raise AssertionError(message)
