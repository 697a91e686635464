"""What the training data look like: as stored, and as the net gets them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from engine.cycle.buckets import Buckets
from engine.cycle.inputs import Context
from engine.cycle.reads import Reads
from engine.cycle.step_engine import StepEngine
from engine.data.source import Source
from engine.noise import Noise

EXAMPLES = 10_000  # looked at, at most
SECONDS = 3.0  # of looking, at most
CLASSES = 1000  # different whole numbers that are still labels, at most
PICTURES = 64  # in the grid, at most
ROUNDING = 1e-3  # that a picture may leave its range by


@dataclass
class Column:
    """One key of the data: type, shape of one example, range of its finite numbers.

    Attributes:
      counts: {value: examples}, if the key may be a label: one whole number per example.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    low: float = np.inf
    high: float = -np.inf
    examples: int = 0
    not_finite: int = 0
    counts: dict[int, int] = field(default_factory=dict)
    _sum: float = 0.0
    _numbers: int = 0

    @classmethod
    def of(cls, values: np.ndarray) -> "Column":
        """Of one batch."""
        column = cls(values.dtype, values.shape[1:])
        column.add(values)
        return column

    @property
    def is_number(self) -> bool:
        """Texts have no range."""
        return self.dtype.kind in "biuf" or self.dtype.name == "bfloat16"

    @property
    def is_picture(self) -> bool:
        """Of shape [h, w, 1] or [h, w, 3]."""
        return self.is_number and len(self.shape) == 3 and self.shape[-1] in (1, 3)

    @property
    def mean(self) -> float:
        """Of all finite numbers."""
        return self._sum / self._numbers if self._numbers else np.nan

    @property
    def classes(self) -> dict[int, int]:
        """{label: examples}, by label; empty if this is no label, as one that seldom repeats."""
        few = len(self.counts) <= min(CLASSES, self.examples // 4)
        return dict(sorted(self.counts.items())) if few else {}

    def add(self, values: np.ndarray) -> None:
        """Count in a batch."""
        self.examples += len(values)
        if not self.is_number:
            return
        if values.ndim == 1 and self.dtype.kind in "biu":
            for value, count in zip(*np.unique(values, return_counts=True), strict=True):
                self.counts[int(value)] = self.counts.get(int(value), 0) + int(count)
        if self.dtype.kind not in "biu":
            values = values.astype(np.float32) if self.dtype.kind != "f" else values
            good = values[np.isfinite(values)]
            self.not_finite += values.size - good.size
            values = good
        if values.size:
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
            self._sum, self._numbers = self._sum + float(values.sum(dtype=np.float64)), self._numbers + values.size


def opened(source: Source, batch: int) -> Any:
    """A reader from ``batch`` on, of its own: one that training has open is closed."""
    source.left_at(-1)  # where no batch is
    return source.open(batch)


def context(engine: StepEngine) -> Context:
    """What the loop would be handed to read the next batches."""
    readers = {name: opened(source, engine.batches[name]) for name, source in engine.sources.items()
               if source.in_sequence}
    return Context(readers, tf.constant(engine.rollbacks, tf.int64))


def stored(source: Source, clock: Callable[[], float] = time.perf_counter) -> dict[str, Column]:
    """The columns of the first training batches, as stored: a sample without repeats, however the data are sorted."""
    columns: dict[str, Column] = {}
    reader, began = opened(source, 0), clock()
    for number in range(max(1, min(source.batches_per_epoch, EXAMPLES // source.batch_size))):
        raw = source.batch(tf.constant(number, tf.int64), reader)
        for name in Reads.one(source).specs(""):
            values = raw[name].numpy()[:EXAMPLES]
            if name in columns:
                columns[name].add(values)
            else:
                columns[name] = Column.of(values)
        if clock() - began > SECONDS:
            break
    return columns


def first_batch(engine: StepEngine, name: str = "") -> dict[str, np.ndarray]:
    """The next batch of a source, the first one if none is named, after its transform with that update's draws."""
    name = name or next(iter(engine.sources))
    step = next(step for step in engine.steps.values() if name in step.inputs.reads.sources)
    source, numbers = engine.sources[name], [tf.constant(number, tf.int64) for number in engine.place.batches]
    inputs = step.inputs.of(tf.constant(engine.completed[step.phase.name], tf.int64), numbers, context(engine)).micro(0)
    batch = Buckets(step.inputs.reads, step.compute.traced).choose(inputs, lambda inputs: source.transform(
        inputs.raw[name], Noise(examples=source.batch_size, drawn=inputs.data[name])))
    return {name: tf.convert_to_tensor(values).numpy() for name, values in batch.items()}


def pictures(batch: Mapping[str, np.ndarray]) -> tuple[np.ndarray, list[str] | None] | None:
    """The first pictures of ``batch`` [n, h, w, c] in [0, 1] or uint8, and their labels; None if it holds none."""
    columns = {name: Column.of(values) for name, values in batch.items()}
    name = next((name for name, column in columns.items() if column.is_picture and column.dtype != bool), None)
    if name is None:
        return None
    labels = next((batch[name] for name, column in columns.items() if column.counts), None)
    captions = None if labels is None else [str(label) for label in labels[:PICTURES]]
    return _shown(np.nan_to_num(batch[name][:PICTURES].astype(np.float32)), columns[name]), captions


def _shown(images: np.ndarray, column: Column) -> np.ndarray:
    low, high = column.low, column.high
    if column.dtype == np.uint8:
        low, high = 0.0, 255.0
    elif low >= -1 - ROUNDING and high <= 1 + ROUNDING:
        low, high = (0.0 if low >= -ROUNDING else -1.0), 1.0
    return np.clip((images - low) / max(high - low, 1e-30), 0, 1)
