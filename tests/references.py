"""The losses once more, in float64 NumPy, written as the textbook has them and without TensorFlow.

They are slow and overflow early; that is the point: a different way to the same number.
"""

from __future__ import annotations

import numpy as np


def over_example(cells: np.ndarray) -> np.ndarray:
    return cells.reshape(len(cells), -1)


def sigmoid(logits):
    return 1.0 / (1.0 + np.exp(-logits))


def softmax_cross_entropy(labels, logits, label_smoothing=0.0, class_weights=None):
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    count = logits.shape[1]
    target = (1.0 - label_smoothing) * np.eye(count)[labels] + label_smoothing / count
    weights = np.ones(count) if class_weights is None else np.array(class_weights) / np.mean(class_weights)
    return -(target * np.log(probabilities)).sum(axis=1) * weights[labels]


def sigmoid_cross_entropy(labels, logits, label_smoothing=0.0):
    target = labels + label_smoothing * (0.5 - labels)
    p = sigmoid(logits)
    return -over_example(target * np.log(p) + (1.0 - target) * np.log(1.0 - p)).sum(axis=1)


def accuracy(labels, logits):
    return np.array([float(np.argmax(row) == label) for label, row in zip(labels, logits, strict=True)])


def top_k_accuracy(labels, logits, k=5):
    """A stable sort keeps equal logits in the order of their classes."""
    best = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return np.array([float(label in row) for label, row in zip(labels, best, strict=True)])


def binary_accuracy(labels, logits):
    return over_example((sigmoid(logits) > 0.5) == (labels > 0.5)).mean(axis=1)


def squared_error(targets, predictions):
    return over_example((targets - predictions) ** 2).mean(axis=1)


def huber(targets, predictions, delta=1.0):
    size = np.abs(targets - predictions)
    return over_example(np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))).mean(axis=1)


def bernoulli_nll(x, logits):
    p = sigmoid(logits)
    return -over_example(np.log(p**x * (1.0 - p) ** (1.0 - x))).sum(axis=1)


def gaussian_log_density(x, mean, log_var):
    """Elementwise."""
    deviation = np.sqrt(np.exp(log_var))
    return np.log(np.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi)))


def gaussian_nll(x, mean, log_var):
    return -over_example(gaussian_log_density(x, mean, log_var)).sum(axis=1)


def importance_weighted_nll(log_weights):
    return -np.log(np.exp(log_weights).mean(axis=1))


def kl_to_standard_normal_per_dimension(mean, log_var):
    variance = np.exp(log_var)
    return (variance + mean**2 - 1.0 - np.log(variance)) / 2


def kl_to_standard_normal(mean, log_var):
    return over_example(kl_to_standard_normal_per_dimension(mean, log_var)).sum(axis=1)


def kl_between_gaussians(mean_q, log_var_q, mean_p, log_var_p):
    q, p = np.exp(log_var_q), np.exp(log_var_p)
    return over_example(np.log(p / q) / 2 + (q + (mean_q - mean_p) ** 2) / (2 * p) - 0.5).sum(axis=1)


def kl_monte_carlo(mean_q, log_var_q, mean_p, log_var_p, samples=200_000, seed=0):
    """The mean of ``log q(z) - log p(z)`` over draws of ``q``: an estimate and its standard error, ``[B]`` each."""
    noise = np.random.default_rng(seed).normal(size=(samples, *mean_q.shape))
    z = mean_q + np.exp(log_var_q / 2) * noise
    ratio = gaussian_log_density(z, mean_q, log_var_q) - gaussian_log_density(z, mean_p, log_var_p)
    ratio = ratio.sum(axis=2)
    return ratio.mean(axis=0), ratio.std(axis=0) / np.sqrt(samples)


def free_bits(kl, floor):
    return np.array([sum(max(floor, dimension) for dimension in row) for row in kl])


def wasserstein_critic(real, fake):
    return -(real - fake)


def wasserstein_generator(fake):
    return -1.0 * fake


def non_saturating_discriminator(real_logits, fake_logits):
    return -np.log(sigmoid(real_logits) * (1.0 - sigmoid(fake_logits)))


def non_saturating_generator(fake_logits):
    return -np.log(sigmoid(fake_logits))


def minimax_generator(fake_logits):
    return np.log(1.0 - sigmoid(fake_logits))


def least_squares_discriminator(real, fake):
    return ((1.0 - real) ** 2 + fake**2) / 2


def least_squares_generator(fake):
    return (1.0 - fake) ** 2 / 2


def hinge_discriminator(real, fake):
    return -np.minimum(0.0, real - 1.0) - np.minimum(0.0, -fake - 1.0)


def hinge_generator(fake):
    return -1.0 * fake


def symmetric_beta(radius, angle, alpha):
    """By way of Student's t of 2 alpha degrees of freedom, as Bailey 1994 has it."""
    freedom = 2.0 * alpha
    t = np.sqrt(freedom * ((1.0 - radius) ** (-2.0 / freedom) - 1.0)) * np.cos(2.0 * np.pi * angle)
    return (1.0 + t / np.sqrt(freedom + t**2)) / 2


def mixup(first, second, fraction):
    return np.array([s * a + (1.0 - s) * b for a, b, s in zip(first, second, fraction, strict=True)])


def tanh_critic(x, inner, outer):
    """The scores ``[B]`` of one hidden layer: ``outer . tanh(inner x)``."""
    return np.tanh(over_example(x) @ inner) @ outer


def tanh_critic_penalty(inner, outer, real, fake, mix, target=1.0, one_sided=False):
    """The penalty, its gradient by hand: d tanh(a) = (1 - tanh(a)^2) da, so inner ((1 - t^2) outer)."""
    penalties = []
    for r, f, m in zip(over_example(real), over_example(fake), mix, strict=True):
        hidden = np.tanh(((1.0 - m) * r + m * f) @ inner)
        excess = np.linalg.norm(inner @ ((1.0 - hidden**2) * outer)) - target
        penalties.append(max(excess, 0.0) ** 2 if one_sided else excess**2)
    return np.array(penalties)
