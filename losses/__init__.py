"""Loss maths: pure, per example, unreduced over the batch.

The strategies are in ``losses.strategies``; what ``Update(gradient=...)`` takes is in ``losses.gradients``.
"""

from losses.adversarial import (
    hinge_discriminator,
    hinge_generator,
    least_squares_discriminator,
    least_squares_generator,
    minimax_generator,
    non_saturating_discriminator,
    non_saturating_generator,
    wasserstein_critic,
    wasserstein_generator,
)
from losses.classification import (
    accuracy,
    binary_accuracy,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
    top_k_accuracy,
)
from losses.divergence import (
    free_bits,
    kl_between_gaussians,
    kl_to_standard_normal,
    kl_to_standard_normal_per_dimension,
)
from losses.likelihood import bernoulli_nll, gaussian_nll, importance_weighted_nll
from losses.mixing import mixup, symmetric_beta
from losses.penalty import gradient_penalty
from losses.regression import huber, squared_error

__all__ = [
    "accuracy",
    "bernoulli_nll",
    "binary_accuracy",
    "free_bits",
    "gaussian_nll",
    "gradient_penalty",
    "hinge_discriminator",
    "hinge_generator",
    "huber",
    "importance_weighted_nll",
    "kl_between_gaussians",
    "kl_to_standard_normal",
    "kl_to_standard_normal_per_dimension",
    "least_squares_discriminator",
    "least_squares_generator",
    "minimax_generator",
    "mixup",
    "non_saturating_discriminator",
    "non_saturating_generator",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "squared_error",
    "symmetric_beta",
    "top_k_accuracy",
    "wasserstein_critic",
    "wasserstein_generator",
]
