"""The two-player losses. Scores are ``[B]``, one number per example, straight from the net (logits).

Every function raises ``ValueError`` for scores that are not ``[B]``: with ``[B, 1]`` against ``[B]`` a difference
would silently become ``[B, B]``.
"""

from __future__ import annotations

import tensorflow as tf

from losses import guard


def wasserstein_critic(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """What a Wasserstein critic minimises; minus its mean estimates the distance, if 1-Lipschitz.

    Formula: ``fake - real``.

    Args:
      real: ``[B]``, floating, the critic's scores of real examples.
      fake: ``[B]``, floating, its scores of generated ones.

    Returns: ``[B]``, units of the score.
    Raises: ValueError: a shape other than ``[B]``, two sizes, or a dtype that is not floating.
    Source: Arjovsky et al. 2017 (arXiv 1701.07875), equation 2 and algorithm 1.
    """
    real, fake = guard.scores(real=real, fake=fake)
    return fake - real


def wasserstein_generator(fake: tf.Tensor) -> tf.Tensor:
    """What the generator minimises against a Wasserstein critic.

    Formula: ``-fake``.

    Args:
      fake: ``[B]``, floating, the critic's scores of generated examples.

    Returns: ``[B]``, units of the score.
    Raises: ValueError: a shape other than ``[B]``, or a dtype that is not floating.
    Source: Arjovsky et al. 2017 (arXiv 1701.07875), algorithm 1.
    """
    (fake,) = guard.scores(fake=fake)
    return -fake


def non_saturating_discriminator(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """The discriminator's cross-entropy: real is 1, fake is 0.

    Formula: ``-log sigmoid(real) - log(1 - sigmoid(fake)) = softplus(-real) + softplus(fake)``.

    Args:
      real_logits: ``[B]``, floating; any finite values.
      fake_logits: ``[B]``, floating.

    Returns: ``[B]``, nats; ``2 log 2`` where the discriminator cannot tell.
    Raises: ValueError: a shape other than ``[B]``, two sizes, or a dtype that is not floating.
    Source: Goodfellow et al. 2014 (arXiv 1406.2661), equation 1.
    """
    real, fake = guard.scores(real_logits=real_logits, fake_logits=fake_logits)
    return tf.nn.softplus(-real) + tf.nn.softplus(fake)


def non_saturating_generator(fake_logits: tf.Tensor) -> tf.Tensor:
    """The generator's cross-entropy to being called real; its gradient lives while it loses.

    Formula: ``-log sigmoid(fake) = softplus(-fake)``.

    Args:
      fake_logits: ``[B]``, floating; any finite values.

    Returns: ``[B]``, nats.
    Raises: ValueError: a shape other than ``[B]``, or a dtype that is not floating.
    Source: Goodfellow et al. 2014 (arXiv 1406.2661), section 3.
    """
    (fake,) = guard.scores(fake_logits=fake_logits)
    return tf.nn.softplus(-fake)


def minimax_generator(fake_logits: tf.Tensor) -> tf.Tensor:
    """The generator's side of the two-player game as first written; its gradient dies while it loses.

    The discriminator of this game is ``non_saturating_discriminator``.

    Formula: ``log(1 - sigmoid(fake)) = -softplus(fake)``.

    Args:
      fake_logits: ``[B]``, floating; any finite values.

    Returns: ``[B]``, nats, never above 0; ``-log 2`` where the discriminator cannot tell.
    Raises: ValueError: a shape other than ``[B]``, or a dtype that is not floating.
    Source: Goodfellow et al. 2014 (arXiv 1406.2661), equation 1 and algorithm 1.
    """
    (fake,) = guard.scores(fake_logits=fake_logits)
    return -tf.nn.softplus(fake)


def least_squares_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Squared distance of real scores from 1 and of fake scores from 0, halved.

    Formula: ``1/2 (real - 1)^2 + 1/2 fake^2``.

    Args:
      real: ``[B]``, floating, below 1e19 in size (the square must fit float32).
      fake: ``[B]``, floating.

    Returns: ``[B]``, squared units of the score.
    Raises: ValueError: a shape other than ``[B]``, two sizes, or a dtype that is not floating.
    Source: Mao et al. 2017 (arXiv 1611.04076), equation 9.
    """
    real, fake = guard.scores(real=real, fake=fake)
    return 0.5 * tf.square(real - 1.0) + 0.5 * tf.square(fake)


def least_squares_generator(fake: tf.Tensor) -> tf.Tensor:
    """Squared distance of fake scores from 1, halved.

    Formula: ``1/2 (fake - 1)^2``.

    Args:
      fake: ``[B]``, floating, below 1e19 in size.

    Returns: ``[B]``, squared units of the score.
    Raises: ValueError: a shape other than ``[B]``, or a dtype that is not floating.
    Source: Mao et al. 2017 (arXiv 1611.04076), equation 9.
    """
    (fake,) = guard.scores(fake=fake)
    return 0.5 * tf.square(fake - 1.0)


def hinge_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Margins of 1 on both sides; a score beyond its margin no longer counts.

    Formula: ``max(0, 1 - real) + max(0, 1 + fake)``.

    Args:
      real: ``[B]``, floating.
      fake: ``[B]``, floating.

    Returns: ``[B]``, units of the score.
    Raises: ValueError: a shape other than ``[B]``, two sizes, or a dtype that is not floating.
    Source: Miyato et al. 2018 (arXiv 1802.05957), equation 16; Lim & Ye 2017 (arXiv 1705.02894).
    """
    real, fake = guard.scores(real=real, fake=fake)
    return tf.nn.relu(1.0 - real) + tf.nn.relu(1.0 + fake)


def hinge_generator(fake: tf.Tensor) -> tf.Tensor:
    """What the generator minimises against a hinge discriminator (Wasserstein's, under its own name).

    Formula: ``-fake``.

    Args:
      fake: ``[B]``, floating.

    Returns: ``[B]``, units of the score.
    Raises: ValueError: a shape other than ``[B]``, or a dtype that is not floating.
    Source: Miyato et al. 2018 (arXiv 1802.05957), equation 17.
    """
    (fake,) = guard.scores(fake=fake)
    return -fake
