"""What an update whose terms and gradients are finite would make of the state."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from engine.cycle.candidates import Candidate
from engine.cycle.optimizers import LARGEST_WEIGHT
from engine.cycle.step import Step
from engine.cycle.step_engine import StepEngine


class Overflow(NamedTuple):
    """A new value that is not finite, or too large."""

    name: str
    finding: str


def first_overflow(engine: StepEngine, step: Step, found: Candidate) -> Overflow | None:
    """Of the variables that ``found`` assigns; None if all stay finite. Nothing is changed."""
    norm, names = float(found.norm), _names(engine, step)
    gradients = {id(v.value): float(np.abs(gradient.numpy()).max(initial=0.0)) for v, gradient in
                 zip(step.compute.variables, found.measured.gradients[0], strict=True)}
    if not np.isfinite(norm):
        key, most = max(gradients.items(), key=lambda each: each[1])
        return Overflow("gradient_norm", f"update: the gradients are finite but their norm is {norm}: the gradient of "
                                         f"{names[key]} reaches {most:.6g}")
    commit = step.commit
    before = commit.before()
    commit.apply(*found.update)
    after = commit.before()
    for variable, value in zip(commit.variables, before, strict=True):
        variable.assign(value)
    weights, rate = len(commit.weights), _rates(step)
    for place, (variable, old, new) in enumerate(zip(commit.variables, before, after, strict=True)):
        limit = LARGEST_WEIGHT if place < weights else np.inf
        largest = _largest(new) if new.dtype.is_floating else 0.0
        if not largest < limit:
            moved = f", its gradient {gradients[id(variable)]:.6g}" if id(variable) in gradients else ""
            name = names.get(id(variable), variable.name)
            return Overflow(name, f"update: {name} would reach {largest:.6g}{_beyond(largest)}: it reaches "
                                  f"{_largest(old):.6g} now{moved}; the gradients' norm is {norm:.6g}{rate}")
    return None


def _largest(value: tf.Tensor) -> float:
    return float(np.abs(np.asarray(value.numpy(), np.float64)).max(initial=0.0))  # nan if any is


def _beyond(largest: float) -> str:
    return f", above {LARGEST_WEIGHT:g}" if np.isfinite(largest) else ""


def _rates(step: Step) -> str:
    rates = [float(tf.convert_to_tensor(each.learning_rate)) for each in step.commit.update.optimizers]
    return f", the learning rate {' and '.join(f'{rate:.6g}' for rate in rates)}" if rates else ""


def _names(engine: StepEngine, step: Step) -> dict[int, Any]:
    """{id of a variable: what it is}."""
    slots = {id(v.value): f"the optimizer's {v.path}" for each in step.commit.update.optimizers for v in each.variables}
    weights = {id(v.value): f"weight {name}/{v.path}" for name, net in engine.nets.items() for v in net.variables}
    return {**slots, **{id(v): f"state {name}" for name, v in step.commit.state.items()}, **weights}
