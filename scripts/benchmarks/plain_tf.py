"""The update in plain TensorFlow, as one writes it by hand: shared by bare, keras and notes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import nets as architectures
from benchmarks import stock as layers
from benchmarks.inputs import batch_of
from benchmarks.plain_losses import LOSSES, Batch, Draws, Nets, Terms
from benchmarks.worker import Metrics
from benchmarks.workloads import Workload, draw_shapes

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def set_threads(count: int | None) -> None:
    """Threads inside one operation; before TensorFlow does anything. None for TensorFlow's own choice."""
    if count is not None:
        tf.config.threading.set_intra_op_parallelism_threads(count)


def make_nets(workload: Workload, stock: bool = False) -> Nets:
    """The nets of ``workload``, built, in its precision; ``stock``: of Keras's own layers."""
    keras.config.set_dtype_policy(POLICIES[workload.precision])
    keras.utils.set_random_seed(0)
    create = layers.create if stock else architectures.create
    made = {name: create(kind, **options) for name, (kind, options) in workload.nets.items()}
    reads = next(iter(workload.inputs.values()))
    example = tf.zeros([1, *reads.shape], "float32" if reads.dtype == "uint8" else reads.dtype)
    for name, net in made.items():
        net(tf.zeros([1, workload.latent_dim]) if name == "generator" else example)
    return made


def make_optimizers(workload: Workload, nets: Nets) -> dict[str, Any]:
    """A built Adam for each phase."""
    made = {phase: keras.optimizers.Adam(workload.learning_rate, *workload.betas) for phase in workload.moves}
    for phase, optimizer in made.items():
        optimizer.build(nets[workload.moves[phase]].trainable_variables)
    return made


def draw(workload: Workload, phase: str) -> Draws:
    """Fresh draws of one update."""
    functions = {"z": tf.random.normal, "mix": tf.random.uniform}
    return {name: functions[name](shape) for name, shape in draw_shapes(workload, phase).items()}


def gather(data: Mapping[str, tf.Tensor], count: int) -> Batch:
    """``count`` random examples."""
    size = len(next(iter(data.values())))
    chosen = tf.random.uniform([count], 0, size, tf.int32)
    return {name: tf.gather(each, chosen) for name, each in data.items()}


def step(workload: Workload, phase: str, nets: Nets, optimizer: Any, batch: Batch | None, draws: Draws
         ) -> tuple[Terms, list[tf.Tensor]]:
    """One update: gradients, and Adam."""
    losses: Any = LOSSES[workload.loss]
    terms, gradients = losses[phase](nets, batch, draws)
    optimizer.apply(gradients, nets[workload.moves[phase]].trainable_variables)
    return terms, gradients


def weights_of(nets: Nets) -> dict[str, np.ndarray]:
    """{"net.<name>.<number>": array}, in the order of the net's layers."""
    return {f"net.{name}.{i:03}": array for name, net in nets.items() for i, array in enumerate(net.get_weights())}


def load_weights(nets: Nets, weights: Any) -> None:
    """From what ``weights_of`` gives."""
    for name, net in nets.items():
        net.set_weights([weights[f"net.{name}.{i:03}"] for i in range(len(net.weights))])


def moved(variables: list[Any], before: list[np.ndarray]) -> float:
    """The Euclidean length of an update."""
    steps = [variable.numpy() - old for variable, old in zip(variables, before, strict=True)]
    return float(np.sqrt(sum(np.square(each, dtype=np.float64).sum() for each in steps)))


def verify(workload: Workload, exchange: Path, compiled: Callable[[Any], Any], stock: bool = False) -> Metrics:
    """One update of each phase from the exchanged weights; ``compiled`` makes the step what it is when timed."""
    held = dict(np.load(exchange / f"{workload.name}.npz"))
    batch = {name: tf.constant(array) for name, array in batch_of(held, workload.inputs).items()}
    metrics = {}
    for phase, moving in workload.moves.items():
        nets = make_nets(workload, stock)
        load_weights(nets, held)
        optimizer, variables = make_optimizers(workload, nets)[phase], nets[moving].trainable_variables
        before = [variable.numpy() for variable in variables]
        draws = {name: tf.constant(held[f"draw.{phase}.{name}"]) for name in draw_shapes(workload, phase)}
        once = compiled(lambda batch, draws, p=phase, n=nets, o=optimizer: step(workload, p, n, o, batch, draws))
        terms, gradients = once(batch, draws)
        dense = [tf.convert_to_tensor(each) for each in gradients]  # an embedding's has an entry for each token
        metrics[phase] = {**{name: float(term) for name, term in terms.items()},
                          "gradient_norm": float(tf.linalg.global_norm(dense)), "step": moved(variables, before)}
    return metrics
