"""The mathematics in plain TensorFlow, as one writes it by hand: shared by bare, keras and notes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import nets as architectures
from benchmarks.worker import Figures
from benchmarks.workloads import LAYERS, PENALTY_WEIGHT, Workload, draw_shapes

Nets = dict[str, Any]
Draws = dict[str, tf.Tensor]
Step = tuple[dict[str, tf.Tensor], list[tf.Tensor]]  # terms, gradients


def set_threads(count: int | None) -> None:
    """Threads inside one operation; before TensorFlow does anything. None for TensorFlow's own choice."""
    if count is not None:
        tf.config.threading.set_intra_op_parallelism_threads(count)


def make_nets(workload: Workload) -> Nets:
    """The nets of ``workload``, built."""
    keras.utils.set_random_seed(0)
    if workload.name == "vae":
        made: Nets = {"vae": architectures.DenseVAE(workload.latent_dim, image_shape=workload.shape)}
        made["vae"](tf.zeros([1, *workload.shape]))
        return made
    made = {"generator": architectures.Generator64(workload.latent_dim), "critic": architectures.Critic64()}
    made["critic"](made["generator"](tf.zeros([1, workload.latent_dim])))
    return made


def make_optimizers(workload: Workload, nets: Nets) -> dict[str, Any]:
    """A built Adam for each phase."""
    made = {phase: keras.optimizers.Adam(workload.learning_rate, *workload.betas) for phase in workload.nets}
    for phase, optimizer in made.items():
        optimizer.build(nets[workload.nets[phase]].trainable_variables)
    return made


def draw(workload: Workload, phase: str) -> Draws:
    """Fresh draws of one update."""
    functions = {"z": tf.random.normal, "mix": tf.random.uniform}
    return {name: functions[name](shape) for name, shape in draw_shapes(workload, phase).items()}


def step(phase: str, nets: Nets, optimizer: Any, raw: tf.Tensor | None, draws: Draws) -> Step:
    """One update: gradients, and Adam."""
    terms, gradients, variables = {"elbo": _elbo, "critic": _critic, "generator": _generator}[phase](nets, raw, draws)
    optimizer.apply(gradients, variables)
    return terms, gradients


def _scaled(raw: tf.Tensor) -> tf.Tensor:
    return tf.cast(raw, tf.float32) * (1.0 / 255.0)


def _elbo(nets: Nets, raw: tf.Tensor, draws: Draws) -> Any:
    vae, image = nets["vae"], _scaled(raw)
    with tf.GradientTape() as tape:
        mean, log_var = vae.encode(image, training=True)
        logits = vae.decode(mean + tf.exp(0.5 * log_var) * draws["z"], training=True)
        cells = tf.nn.sigmoid_cross_entropy_with_logits(labels=image, logits=logits)
        reconstruction = tf.reduce_mean(tf.reduce_sum(cells, axis=[1, 2, 3]))
        kl = tf.reduce_mean(0.5 * tf.reduce_sum(tf.square(mean) + tf.exp(log_var) - 1.0 - log_var, axis=1))
        objective = reconstruction + kl
    variables = vae.trainable_variables
    return {"reconstruction": reconstruction, "kl": kl}, tape.gradient(objective, variables), variables


def _critic(nets: Nets, raw: tf.Tensor, draws: Draws) -> Any:
    critic, real = nets["critic"], 2.0 * _scaled(raw) - 1.0
    fake = nets["generator"](draws["z"], training=True)
    mixed = real + draws["mix"][:, None, None, None] * (fake - real)
    with tf.GradientTape() as tape:
        wasserstein = tf.reduce_mean(critic(fake, training=True)) - tf.reduce_mean(critic(real, training=True))
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(mixed)
            scores = critic(mixed, training=True)
        slope = inner.gradient(scores, mixed)
        norm = tf.sqrt(tf.reduce_sum(tf.square(slope), axis=[1, 2, 3]) + 1e-12)
        penalty = tf.reduce_mean(tf.square(norm - 1.0))
        objective = wasserstein + PENALTY_WEIGHT * penalty
    variables = critic.trainable_variables
    return {"wasserstein": wasserstein, "gradient_penalty": penalty}, tape.gradient(objective, variables), variables


def _generator(nets: Nets, raw: None, draws: Draws) -> Any:
    variables = nets["generator"].trainable_variables
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([variable.value for variable in variables])
        objective = -tf.reduce_mean(nets["critic"](nets["generator"](draws["z"], training=True), training=True))
    return {"wasserstein": objective}, tape.gradient(objective, variables), variables


def load_weights(nets: Nets, weights: Any) -> None:
    """From ``weights``, {"<net>.<layer>.<number>": array}."""
    for name, net in nets.items():
        for layer in LAYERS[name]:
            held = getattr(net, layer)
            held.set_weights([weights[f"{name}.{layer}.{i}"] for i in range(len(held.weights))])


def moved(variables: list[Any], before: list[np.ndarray]) -> float:
    """The Euclidean length of an update."""
    steps = [variable.numpy() - old for variable, old in zip(variables, before, strict=True)]
    return float(np.sqrt(sum(np.square(each, dtype=np.float64).sum() for each in steps)))


def verify(workload: Workload, exchange: Path, compiled: Callable[[Any], Any]) -> Figures:
    """One update of each phase from the exchanged weights; ``compiled`` makes the step what it is when timed."""
    held = np.load(exchange / f"{workload.name}.npz")
    figures = {}
    for phase, moving in workload.nets.items():
        nets = make_nets(workload)
        load_weights(nets, held)
        optimizer, variables = make_optimizers(workload, nets)[phase], nets[moving].trainable_variables
        before = [variable.numpy() for variable in variables]
        draws = {name: tf.constant(held[f"{phase}.{name}"]) for name in draw_shapes(workload, phase)}
        once = compiled(lambda raw, draws, p=phase, n=nets, o=optimizer: step(p, n, o, raw, draws))
        terms, gradients = once(tf.constant(held["raw"]), draws)
        figures[phase] = {**{name: float(term) for name, term in terms.items()},
                          "gradient_norm": float(tf.linalg.global_norm(gradients)), "step": moved(variables, before)}
    return figures
