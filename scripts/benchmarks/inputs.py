"""The data of all workloads, written to files once: the images that are shipped, and random tokens."""

import functools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workloads import IMAGES, LABELS, SENTIMENTS, TOKENS, WORKLOADS, Input, Workload

VOCABULARY = 20_000  # of nets.LSTMClassifier


def prepare(folder: Path, names: Sequence[str]) -> None:
    """Write the files that the workloads ``names`` read.

    Images and labels are Fashion-MNIST's (the shipped 10 000, training part), resized where a workload says so; there
    are as many sequences of tokens, with random labels.
    """
    for each, array in _made(dict.fromkeys(each for name in names for each in WORKLOADS[name].inputs.values())).items():
        np.save(folder / each.file, array)


def made(workload: Workload) -> dict[str, np.ndarray]:
    """{name in a batch: all examples}, without a file."""
    arrays = _made(workload.inputs.values())
    return {name: arrays[each] for name, each in workload.inputs.items()}


def _made(wanted: Iterable[Input]) -> dict[Input, np.ndarray]:
    from engine.data.catalog import load

    dataset: Any = load("fashion-mnist-10k")
    train, random = dataset.train, np.random.default_rng(0)
    count = len(train["label"])
    makers: dict[Input, Callable[[], np.ndarray]] = {
        each: functools.partial(resized, train["image"], each.shape) for each in IMAGES.values()}
    makers |= {LABELS: lambda: train["label"], SENTIMENTS: lambda: random.integers(0, 2, count, np.int32),
               TOKENS: lambda: random.integers(1, VOCABULARY, [count, *TOKENS.shape], np.int32)}
    return {each: makers[each]() for each in wanted}


def resized(images: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """uint8 [N, h, w, 1] -> [N, *shape], bicubic; grey in all channels."""
    from PIL import Image

    height, width, channels = shape
    if images.shape[1:3] != (height, width):
        grey = [Image.fromarray(image[..., 0]).resize((width, height)) for image in images]
        images = np.stack([np.asarray(image) for image in grey])[..., None]
    return np.repeat(images, channels, axis=-1)


def read(folder: Path, workload: Workload) -> dict[str, np.ndarray]:
    """{name in a batch: all examples}."""
    return {name: np.load(folder / each.file) for name, each in workload.inputs.items()}


def batch_of(held: Mapping[str, np.ndarray], inputs: Mapping[str, Input]) -> dict[str, np.ndarray]:
    """The batch among the exchanged arrays."""
    return {name: held[f"batch.{name}"] for name in inputs}


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), sys.argv[2:])
