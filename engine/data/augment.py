"""Transforms of pictures that run in the graph: ``transform(batch, noise) -> batch``.

Each changes ``batch["image"]`` [B, h, w, c] and passes every other key on. Its draws are keyed by name, so
eager, graph and XLA give the same pictures, and so does a continued run.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from engine.data.source import Batch, Transform
from engine.errors import require
from engine.noise import Noise


def scale(batch: Batch, noise: Noise) -> Batch:
    """uint8 pictures in 0..255 to float32 in [0, 1].

    Raises:
      Invalid: If the pictures are not uint8.
    """
    image = _image(batch)
    require(image.dtype == tf.uint8, "image", image.dtype.name, "uint8 to be scaled to [0, 1]")
    # A product, as XLA makes one of a division by a constant: all plans give the same bits, and 255 gives 1.
    return {**batch, "image": tf.cast(image, tf.float32) * np.float32(1 / 255)}


def rgb(batch: Batch, noise: Noise) -> Batch:
    """Grey pictures [B, h, w, 1] to three equal channels; pictures of three channels stay.

    Raises:
      Invalid: Another number of channels.
    """
    image = _image(batch)
    require(image.shape[-1] in (1, 3), "image", f"{image.shape[-1]} channels", "of 1 or 3 channels")
    return {**batch, "image": tf.repeat(image, 3 // image.shape[-1], axis=-1)}


@dataclass(frozen=True)
class Flip:
    """Mirrors each picture, left to right, with a probability of its own draw ``flip``."""

    probability: float = 0.5  # of a mirrored picture, in [0, 1]

    def __post_init__(self) -> None:
        require(0 <= self.probability <= 1, "probability", self.probability, "in [0, 1]")

    def __call__(self, batch: Batch, noise: Noise) -> Batch:
        image = _image(batch)
        flipped = noise.uniform("flip") < self.probability
        return {**batch, "image": tf.where(flipped[:, None, None, None], tf.reverse(image, [2]), image)}


@dataclass(frozen=True)
class Shift:
    """Moves each picture by whole pixels, both ways by its own draw ``shift``; what comes in is 0."""

    pixels: int  # the farthest move, up or down and left or right

    def __post_init__(self) -> None:
        require(isinstance(self.pixels, int) and self.pixels >= 0, "pixels", self.pixels,
                "an integer of at least 0")

    def __call__(self, batch: Batch, noise: Noise) -> Batch:
        image, far = _image(batch), self.pixels
        moves = 2 * far + 1
        # The minimum: a draw just under 1, times `moves`, may round up to `moves`.
        start = tf.minimum(tf.cast(noise.uniform("shift", [2]) * moves, tf.int32), moves - 1)  # [B, 2]
        rows = start[:, :1] + tf.range(image.shape[1])  # [B, h]
        columns = start[:, 1:] + tf.range(image.shape[2])  # [B, w]
        padded = tf.pad(image, [[0, 0], [far, far], [far, far], [0, 0]])  # [B, h + 2 far, w + 2 far, c]
        moved = tf.gather(padded, rows, axis=1, batch_dims=1)  # [B, h, w + 2 far, c]
        return {**batch, "image": tf.gather(moved, columns, axis=2, batch_dims=1)}  # [B, h, w, c]


@dataclass(frozen=True)
class Resize:
    """Brings pictures to another size, bilinearly; smaller ones are averaged, as by ``antialias=True``.

    uint8 pictures stay uint8, rounded; others keep their type. It is two matrix products, since XLA has no
    antialiased resizing.
    """

    height: int  # pixels
    width: int  # pixels

    def __post_init__(self) -> None:
        for name, side in (("height", self.height), ("width", self.width)):
            require(isinstance(side, int) and side >= 1, name, side, "an integer of at least 1")

    def __call__(self, batch: Batch, noise: Noise) -> Batch:
        image = _image(batch)
        rows = _bilinear(self.height, image.shape[1])
        columns = _bilinear(self.width, image.shape[2])
        wide = tf.einsum("bhwc,xw->bhxc", tf.cast(image, tf.float32), columns)
        resized = tf.einsum("bhxc,yh->byxc", wide, rows)
        if image.dtype.is_integer:
            resized = tf.round(resized)
        return {**batch, "image": tf.cast(resized, image.dtype)}


@dataclass(frozen=True, init=False)
class Chain:
    """One transform after another: ``Chain(scale, Flip(), Shift(2))``.

    Each random one may be there once: a second draw of its name would repeat the first, and is refused.
    """

    transforms: tuple[Transform, ...]  # first to last

    def __init__(self, *transforms: Transform) -> None:
        object.__setattr__(self, "transforms", transforms)

    def __call__(self, batch: Batch, noise: Noise) -> Batch:
        for transform in self.transforms:
            batch = transform(batch, noise)
        return batch

    def __repr__(self) -> str:
        names = [getattr(each, "__name__", None) or repr(each) for each in self.transforms]
        return f"Chain({', '.join(names)})"


def _image(batch: Batch) -> tf.Tensor:
    require("image" in batch, "batch", ", ".join(batch), "of pictures under the key image")
    image = batch["image"]
    require(image.shape.rank == 4 and image.shape[1:].is_fully_defined(), "image", image.shape,
            "[B, h, w, c] of known h, w and c")
    return image


def _bilinear(new: int, old: int) -> np.ndarray:
    """[new, old] float32, rows of sum 1: a triangle about each new pixel's centre, one larger pixel wide."""
    step = old / new  # old pixels per new pixel
    centres = (np.arange(new)[:, None] + 0.5) * step
    weights = np.maximum(0.0, 1.0 - abs(np.arange(old) + 0.5 - centres) / max(step, 1.0))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
