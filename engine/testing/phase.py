"""Run one phase of a strategy on a tiny batch, the way the engine does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from engine.cycle.draws import Course
from engine.cycle.gradients import PhaseGradients
from engine.cycle.outline import outline, survey
from engine.cycle.replicas import Replicas
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
    for each in phases.values():
        survey(each.loss, named, source, each.name, each.reads_batch)
    replicas = Replicas(source.batch_size)
    measuring = PhaseGradients(chosen, outline(chosen, named, source), named, source, replicas, seed, 1)
    number = tf.constant(update, tf.int64)
    drawn = measuring.draws.of(number, tf.constant(0, tf.int64), Course()).micro(0)
    drawn = drawn._replace(raw=source.arrays if chosen.reads_batch else {})
    buffers = [tf.convert_to_tensor(v.value) for v in measuring.outline.buffers]
    measured = measuring.finish(measuring.gradients(number, 1.0, measuring.weights(), buffers, drawn), 1.0)
    paths = [f"{net}/{v.path}" for net in chosen.updates for v in named[net].trainable_variables]
    return Tried(dict(zip(measuring.names, measured.vector.numpy().tolist(), strict=True)),
                 {path: gradient.numpy() for path, gradient in zip(paths, measured.gradients, strict=True)})
