"""Guards of the loss maths: dtype, rank and shape are settled before the equation.

A loss that meets ``[B, 1]`` where it expects ``[B]`` broadcasts to ``[B, B]`` and trains on nonsense without a
word; here it is refused. Only *static* shapes are read (an unknown dimension, None, passes), so a guard
costs nothing once the step is compiled. Every text reads: NAME (VALUE) must be RULE, the name in backticks.
"""

from __future__ import annotations

import tensorflow as tf


def require(holds: bool, name: str, value: object, rule: str) -> None:
    """Raise ``ValueError`` with the text "NAME (VALUE) must be RULE", the name in backticks, unless ``holds``."""
    if not holds:
        raise ValueError(f"`{name}` ({value}) must be {rule}")


def floats(**tensors: tf.Tensor) -> list[tf.Tensor]:
    """The named tensors in one floating dtype, at least float32.

    The last tensor decides: name the net's output last, so that data in float64 (NumPy's default) does not
    pull a float32 net up. Half precision is cast up: a sum over 10,000 pixels does not fit in 10 bits.

    Raises:
      ValueError: An integer or bool tensor; a uint8 image in 0..255 is not data in [0, 1].
    """
    converted = {name: tf.convert_to_tensor(tensor) for name, tensor in tensors.items()}
    for name, tensor in converted.items():
        require(tensor.dtype.is_floating, name, f"dtype {tensor.dtype.name}", "floating point")
    *_, last = converted.values()
    dtype = tf.float64 if last.dtype == tf.float64 else tf.float32
    return [tf.cast(tensor, dtype) for tensor in converted.values()]


def same_shape(**tensors: tf.Tensor) -> None:
    """Refuse tensors that are not all of one shape ``[batch, ...]``.

    Raises:
      ValueError: A rank that is unknown or 0, or two static shapes that differ.
    """
    earlier: dict[str, tf.Tensor] = {}
    for name, tensor in tensors.items():
        require(bool(tensor.shape.rank), name, shape_of(tensor), "of a known rank of 1 or more, [batch, ...]")
        for other, reference in earlier.items():
            require(
                tensor.shape.is_compatible_with(reference.shape),
                name,
                shape_of(tensor),
                f"of the shape of `{other}`, {tuple(reference.shape)}",
            )
        earlier[name] = tensor


def scores(**tensors: tf.Tensor) -> list[tf.Tensor]:
    """The named tensors as floats, refused unless all are of one shape ``[batch]``.

    Raises:
      ValueError: A rank other than 1 (a critic that ends in ``Dense(1)`` gives ``[batch, 1]``), or two
        batch sizes.
    """
    vectors = floats(**tensors)
    for name, tensor in zip(tensors, vectors, strict=True):
        require(tensor.shape.rank == 1, name, shape_of(tensor), "of shape [batch], one score per example")
    same_shape(**dict(zip(tensors, vectors, strict=True)))
    return vectors


def classes(labels: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """``labels`` as int64 ``[batch]`` and ``logits`` as floats ``[batch, classes]``.

    Raises:
      ValueError: Labels that are not integers or not ``[batch]`` (one-hot), logits that are not
        ``[batch, classes]`` with at least 2 classes (a softmax over one class is always 1).
    """
    labels = tf.convert_to_tensor(labels)
    (logits,) = floats(logits=logits)
    require(labels.dtype.is_integer, "labels", f"dtype {labels.dtype.name}", "integer class indices")
    require(logits.shape.rank == 2, "logits", shape_of(logits), "of shape [batch, classes]")
    require(logits.shape[1] != 1, "logits", shape_of(logits), "of 2 classes or more")
    batch = logits.shape[:1]
    holds = labels.shape.rank == 1 and labels.shape.is_compatible_with(batch)
    require(holds, "labels", shape_of(labels), f"of the batch shape of `logits`, {tuple(batch)}")
    return tf.cast(labels, tf.int64), logits


def rows(**tensors: tf.Tensor) -> list[tf.Tensor]:
    """Tensors of one shape ``[batch, ...]`` as ``[batch, cells]``, one row per example.

    Before the equation and not after it: XLA on CPUs computes 128 x 784 cells in half the time of
    128 x 28 x 28 x 1, and sums their rows in a quarter.

    Raises:
      ValueError: The same as ``same_shape``.
    """
    same_shape(**tensors)
    return [tf.reshape(tensor, _row_shape(tensor)) for tensor in tensors.values()]


def per_example(name: str, tensor: tf.Tensor, batch: tf.TensorShape) -> None:
    """Refuse a tensor that is not one number per example, ``[batch]``.

    Raises:
      ValueError: Another rank, or another batch size.
    """
    holds = tensor.shape.rank == 1 and tensor.shape.is_compatible_with(batch)
    shown = tuple(batch) if batch[0] is not None else "[batch]"
    require(holds, name, shape_of(tensor), f"one number per example, of shape {shown}")


def _row_shape(tensor: tf.Tensor) -> list[int | tf.Tensor]:
    batch, cells = tensor.shape[0], tensor.shape[1:].num_elements()
    if cells is None:
        return [tf.shape(tensor)[0] if batch is None else batch, -1]
    return [-1 if batch is None else batch, cells]


def shape_of(tensor: tf.Tensor) -> str:
    """How a message shows a static shape: ``shape (8, 1)``."""
    return "shape unknown" if tensor.shape.rank is None else f"shape {tuple(tensor.shape)}"
