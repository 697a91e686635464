"""The transformations once more, in float64 NumPy on long vectors, written as the papers have them."""

import numpy as np


def long(tensors):
    return np.concatenate([np.asarray(each, np.float64).ravel() for each in tensors])


def sharpness_aware(gradient_at, weights, radius, adaptive=False):
    """``gradient_at``: from a long vector of weights to that of the gradient."""
    gradient = gradient_at(weights)
    if adaptive:
        normalise = np.diag(np.abs(weights) + 0.01)
        return gradient_at(weights + radius * normalise @ normalise @ gradient / np.linalg.norm(normalise @ gradient))
    return gradient_at(weights + radius * gradient / np.sqrt(gradient @ gradient))


def pcgrad(gradients, order):
    """``gradients``: long vectors; ``order[i]``: what task i looks at, one after the other."""
    found = np.zeros_like(gradients[0])
    for i, gradient in enumerate(gradients):
        mine = gradient.copy()
        for j in order[i]:
            if j != i and mine @ gradients[j] < 0:
                mine = mine - (mine @ gradients[j]) / (gradients[j] @ gradients[j]) * gradients[j]
        found = found + mine
    return found


def splitmix_order(update, tasks, seed):
    """In Python's integers, which have no width: cut to 64 bits after each step."""
    keys, mask = [], 2**64 - 1
    for number in range(update * tasks**2, (update + 1) * tasks**2):
        z = (number + seed * 0xD1342543DE82EF95) * 0x9E3779B97F4A7C15 & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        keys.append(z >> 33)
    return [sorted(range(tasks), key=lambda j, i=i: keys[i * tasks + j]) for i in range(tasks)]


def metabalance(gradients, relax):
    """``gradients``: per task a list of arrays, the target first."""
    found = []
    for target, *others in zip(*gradients, strict=True):
        total = np.array(target, np.float64)
        for other in others:
            norms = np.linalg.norm(target), np.linalg.norm(other)
            total += other if norms[0] == 0 else other * norms[0] / norms[1] * relax + other * (1.0 - relax)
        found.append(total)
    return found


def vqgan_weight(reconstruction, adversarial, most, smallest):
    """Of gradients at the last layer."""
    return min(most, np.linalg.norm(reconstruction) / (np.linalg.norm(adversarial) + smallest))
