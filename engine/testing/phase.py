"""Run one phase of a strategy on a tiny batch, the way the engine does."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from engine.cycle.average import Teacher
from engine.cycle.compute import Compute
from engine.cycle.division import Division
from engine.cycle.inputs import Context, PhaseInputs
from engine.cycle.measured import Given
from engine.cycle.reads import reads_of
from engine.cycle.trace import trace
from engine.cycle.variables import seed_states
from engine.data.source import ArraySource
from engine.errors import require
from engine.run.preflight import check_state, named_nets
from engine.strategy import FIRST, LossStrategy


@dataclass(frozen=True)
class Tried:
    """What a phase did: means of its terms, and the gradient of its objective by "net/variable path"."""

    means: dict[str, float]
    gradients: dict[str, np.ndarray]


def try_phase(strategy: LossStrategy, phase: str, nets: Mapping[str, Any], batch: Mapping[str, Any], *,
              seed: int = 0, update: int = 0, state: Mapping[str, Any] | None = None) -> Tried:
    """One update of ``phase`` on ``batch``, measured and not applied; the nets stay as they are.

    Example:
      tried = try_phase(MyStrategy(), "critic", {"critic": critic, "generator": generator}, {"image": images})
      assert tried.means["gradient_penalty"] >= 0

    Args:
      batch: {name: array [B, ...]}, as the loss is to see it; of a phase that reads several sources {source: batch}.
      seed, update: Part of the key of the random draws.
      state: State of the strategy, in place of that at its start.

    Raises:
      Invalid: An unknown phase, and whatever the engine refuses in a loss: a term that is neither
        [B] nor a scalar, an unknown net, weight or watched term.
    """
    phases = {each.name: each for each in strategy.phases()}
    require(phase in phases, "phase", phase, f"one of {', '.join(phases)}")
    chosen, named = phases[phase], named_nets(nets)
    several = isinstance(next(iter(batch.values())), Mapping)
    sources = {name: ArraySource(each, len(next(iter(each.values()))))
               for name, each in (batch if several else {"data": batch}).items()}
    if isinstance(chosen.reads, str):  # whatever its source is called
        chosen = replace(chosen, reads=FIRST)
    reads = reads_of([chosen], sources)[0]
    known = {name: tf.constant(value) for name, value in {**check_state(strategy), **(state or {})}.items()}
    specs = {name: tf.TensorSpec(value.shape, value.dtype) for name, value in known.items()}
    traced = trace(chosen, named, reads, specs)
    teachers = [net for net in named.values() if isinstance(net, Teacher)]
    for teacher in teachers:
        teacher.build()
    compute = Compute(chosen, trace(chosen, named, reads, specs) if teachers else traced, named, reads, Division())
    inputs = PhaseInputs(chosen, compute.traced, reads, list(sources), len(seed_states(named)), seed, 1)
    number = tf.constant(update, tf.int64)
    given = inputs.of(number, [tf.constant(0, tf.int64)] * len(sources), Context()).micro(0)
    given = given._replace(raw={name: sources[name].arrays for name in given.raw})
    assigned = [tf.convert_to_tensor(v.value) for v in compute.traced.assigned]
    measured = compute.gradients(Given(number, 1.0, compute.weights(), assigned, known), given)
    paths = {id(v): f"{net}/{v.path}" for net in chosen.updates for v in named[net].trainable_variables}
    gradients = {paths[id(v)]: gradient.numpy()
                 for v, gradient in zip(compute.variables, measured.gradients[0], strict=True)}
    norm = float(np.sqrt(sum(np.sum(np.square(gradient, dtype=np.float64)) for gradient in gradients.values())))
    means = dict(zip(compute.names, measured.vector.numpy().tolist(), strict=True))
    return Tried({**means, "gradient_norm": norm}, gradients)
