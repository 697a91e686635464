"""Run one phase of a strategy on a tiny batch, the way the engine does."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from engine.cycle.compute import Compute, Given
from engine.cycle.inputs import Context, PhaseInputs
from engine.cycle.reads import reads_of
from engine.cycle.replicas import Replicas
from engine.cycle.trace import seed_states, trace
from engine.data.source import ArraySource
from engine.errors import require
from engine.strategy import LossStrategy, NamedNets


@dataclass(frozen=True)
class Tried:
    """What a phase did: means of its terms, and the gradient of its objective by "net/variable path"."""

    means: dict[str, float]
    gradients: dict[str, np.ndarray]


def try_phase(strategy: LossStrategy, phase: str, nets: Mapping[str, Any], batch: Mapping[str, np.ndarray], *,
              seed: int = 0, update: int = 0) -> Tried:
    """One update of ``phase`` on ``batch``, measured and not applied; the nets stay as they are.

    Example:
      tried = try_phase(MyStrategy(), "critic", {"critic": critic, "generator": generator}, {"image": images})
      assert tried.means["gradient_penalty"] >= 0

    Args:
      batch: {name: array [B, ...]}, as the loss is to see it.
      seed, update: Part of the key of the random draws.

    Raises:
      Invalid: for an unknown phase, and for whatever the engine refuses in a loss: a term that is neither
        [B] nor a scalar, an unknown net, weight or watched term.
    """
    phases = {each.name: each for each in strategy.phases()}
    require(phase in phases, "phase", phase, f"one of {', '.join(phases)}")
    chosen, named = phases[phase], NamedNets(nets)
    source = ArraySource(batch, len(next(iter(batch.values()))))
    reads = reads_of([replace(chosen, repeats=1)], {"data": source})[0]
    state = {name: tf.constant(value) for name, value in strategy.state().items()}
    specs = {name: tf.TensorSpec(value.shape, value.dtype) for name, value in state.items()}
    compute = Compute(chosen, trace(chosen, named, reads, specs), named, reads, Replicas(source.batch_size))
    inputs = PhaseInputs(chosen, compute.traced, reads, ["data"], len(seed_states(named)), seed, 1)
    number = tf.constant(update, tf.int64)
    given = inputs.of(number, [tf.constant(0, tf.int64)], Context()).micro(0)
    given = given._replace(raw={name: source.arrays for name in given.raw})
    assigned = [tf.convert_to_tensor(v.value) for v in compute.traced.assigned]
    measured = compute.gradients(Given(number, 1.0, compute.weights(), assigned, state), given, [None])
    paths = {id(v): f"{net}/{v.path}" for net in chosen.updates for v in named[net].trainable_variables}
    gradients = {paths[id(v)]: gradient.numpy()
                 for v, gradient in zip(compute.variables, measured.gradients[0], strict=True)}
    norm = float(np.sqrt(sum(np.sum(np.square(gradient, dtype=np.float64)) for gradient in gradients.values())))
    means = dict(zip(compute.names, measured.vector.numpy().tolist(), strict=True))
    return Tried({**means, "gradient_norm": norm}, gradients)
