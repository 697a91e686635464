"""The losses in plain TensorFlow, as one writes them by hand: terms, and the gradients of their weighted sum."""

from typing import Any

import tensorflow as tf

from benchmarks.workloads import PENALTY_WEIGHT

Nets = dict[str, Any]
Batch = dict[str, tf.Tensor]
Draws = dict[str, tf.Tensor]
Terms = dict[str, tf.Tensor]


def scaled(raw: tf.Tensor) -> tf.Tensor:
    """uint8 to [0, 1]."""
    return tf.cast(raw, tf.float32) * (1.0 / 255.0)


def supervised(nets: Nets, batch: Batch, draws: Draws) -> tuple[Terms, list[tf.Tensor]]:
    """Softmax cross-entropy."""
    variables = nets["classifier"].trainable_variables
    with tf.GradientTape() as tape:
        logits = nets["classifier"](scaled(batch["image"]), training=True)
        objective = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label"], logits))
    return {"cross_entropy": objective}, tape.gradient(objective, variables)


def binary(nets: Nets, batch: Batch, draws: Draws) -> tuple[Terms, list[tf.Tensor]]:
    """Sigmoid cross-entropy of one logit."""
    variables = nets["classifier"].trainable_variables
    with tf.GradientTape() as tape:
        logits = nets["classifier"](batch["tokens"], training=True)
        label = tf.cast(batch["label"], tf.float32)
        objective = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=label, logits=logits))
    return {"cross_entropy": objective}, tape.gradient(objective, variables)


def elbo(nets: Nets, batch: Batch, draws: Draws) -> tuple[Terms, list[tf.Tensor]]:
    """Reconstruction and KL of a VAE, nats per example."""
    vae, image = nets["vae"], scaled(batch["image"])
    with tf.GradientTape() as tape:
        mean, log_var = vae.encode(image, training=True)
        logits = vae.decode(mean + tf.exp(0.5 * log_var) * draws["z"], training=True)
        cells = tf.nn.sigmoid_cross_entropy_with_logits(labels=image, logits=logits)
        reconstruction = tf.reduce_mean(tf.reduce_sum(cells, axis=[1, 2, 3]))
        kl = tf.reduce_mean(0.5 * tf.reduce_sum(tf.square(mean) + tf.exp(log_var) - 1.0 - log_var, axis=1))
        objective = reconstruction + kl
    return {"reconstruction": reconstruction, "kl": kl}, tape.gradient(objective, vae.trainable_variables)


def critic(nets: Nets, batch: Batch, draws: Draws) -> tuple[Terms, list[tf.Tensor]]:
    """Wasserstein loss with gradient penalty."""
    net, real = nets["critic"], 2.0 * scaled(batch["image"]) - 1.0
    fake = nets["generator"](draws["z"], training=True)
    mixed = real + draws["mix"][:, None, None, None] * (fake - real)
    with tf.GradientTape() as tape:
        wasserstein = tf.reduce_mean(net(fake, training=True)) - tf.reduce_mean(net(real, training=True))
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(mixed)
            scores = net(mixed, training=True)
        gradient = inner.gradient(scores, mixed)
        norm = tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3]) + 1e-12)
        penalty = tf.reduce_mean(tf.square(norm - 1.0))
        objective = wasserstein + PENALTY_WEIGHT * penalty
    return {"wasserstein": wasserstein, "gradient_penalty": penalty}, tape.gradient(objective, net.trainable_variables)


def generator(nets: Nets, batch: None, draws: Draws) -> tuple[Terms, list[tf.Tensor]]:
    """The critic's score of generated images, to be raised."""
    variables = nets["generator"].trainable_variables
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([variable.value for variable in variables])
        objective = -tf.reduce_mean(nets["critic"](nets["generator"](draws["z"], training=True), training=True))
    return {"wasserstein": objective}, tape.gradient(objective, variables)


# loss of the workload -> phase -> its function
LOSSES = {"supervised": {"classifier": supervised}, "binary": {"classifier": binary}, "vae": {"elbo": elbo},
          "wgan-gp": {"critic": critic, "generator": generator}}
