"""TensorBoard: scalars and pictures of a run as event files."""

import io
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from engine.errors import Invalid, require
from engine.reporting.record import flat
from engine.reporting.writer import Start, Timestamp, Writer

BUCKETS = 30  # of a histogram, as TensorBoard's own


class TensorBoard(Writer):
    """Event files of two runs that TensorBoard shows in one card: what training and evaluation say of one term.

    A step is a cycle. "eval/kl" has the tag of the first phase's term of that name, "elbo/kl", if there is one. The
    configuration is a text of the training.

    Args:
      folder: Folder of the events; None for ``tensorboard/`` of the run's folder.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        self._folder = None if folder is None else Path(folder)

    def open(self, start: Start) -> None:
        """Note where, and which metrics are terms, too."""
        folder = self._folder or (start.folder and start.folder / "tensorboard")
        if folder is None:
            raise Invalid("`TensorBoard folder` (not given) must be given for a run without a run_dir")
        self._root = folder
        self._training, self._evaluation = EventFile(folder / "training"), EventFile(folder / "evaluation")
        self._tags = {name: next((term for term in start.names if term != name and not term.startswith("eval/")
                                  and term.partition("/")[2] == name.partition("/")[2]), name)
                      for name in start.names if name.startswith("eval/")}
        rows = [f"| {name} | {value} |" for name, value in flat(start.config).items()]
        self._text = "" if start.cycle else "\n".join(["| option | value |", "| --- | --- |", *rows])

    def scalars(self, timestamp: Timestamp, values: Mapping[str, float]) -> None:
        """Write numbers."""
        self._root.mkdir(exist_ok=True)  # not its parents: the run's folder may have been removed
        if self._text:
            self._training.text(0, {"configuration": self._text})
            self._text = ""
        evaluated = {self._tags[name]: value for name, value in values.items() if name in self._tags}
        training = {name: value for name, value in values.items() if name not in self._tags}
        self._training.scalars(timestamp.cycle, training)
        self._evaluation.scalars(timestamp.cycle, evaluated)

    def images(self, timestamp: Timestamp, images: Mapping[str, np.ndarray]) -> None:
        """Write pictures."""
        self._root.mkdir(exist_ok=True)
        self._evaluation.images(timestamp.cycle, images)

    def histograms(self, timestamp: Timestamp, values: Mapping[str, np.ndarray]) -> None:
        """Write weights and gradients as histograms."""
        self._root.mkdir(exist_ok=True)
        self._training.histograms(timestamp.cycle, values)

    def rewind(self, cycle: int) -> None:
        """What came after ``cycle`` no longer holds."""
        self._training.rewind(cycle)
        self._evaluation.rewind(cycle)

    def close(self, finished: bool = True) -> None:
        """Finish the files."""
        try:
            self._training.close()
        finally:
            self._evaluation.close()


class EventFile:
    """Event files of one folder; it and the file come into being with the first value."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: Any = None

    def scalars(self, cycle: int, values: Mapping[str, float]) -> None:
        """Write numbers."""
        if values:
            self._write(cycle, [_value(name, "scalars", tf.make_tensor_proto(float(value), tf.float32))
                                for name, value in values.items()])

    def text(self, cycle: int, texts: Mapping[str, str]) -> None:
        """Write texts in Markdown."""
        self._write(cycle, [_value(name, "text", tf.make_tensor_proto([text.encode()], tf.string))
                            for name, text in texts.items()])

    def images(self, cycle: int, images: Mapping[str, np.ndarray]) -> None:
        """Write pictures. Raises ``Invalid`` for what is not uint8 [h, w, 3]."""
        for name, grid in images.items():
            fits = grid.ndim == 3 and grid.shape[-1] == 3 and grid.dtype == np.uint8
            require(fits, name, f"{grid.dtype} {list(grid.shape)}", "a picture, uint8 [h, w, 3]")
        if images:
            self._write(cycle, [_value(name, "images", tf.make_tensor_proto(_encoded(grid), tf.string))
                                for name, grid in images.items()])

    def histograms(self, cycle: int, values: Mapping[str, np.ndarray]) -> None:
        """Write how often numbers lie where; those that are not finite are left out, and an array without any."""
        finite = {name: array[np.isfinite(array)] for name, array in values.items()}
        rows = {name: np.histogram(array.astype(np.float64), BUCKETS) for name, array in finite.items() if array.size}
        if rows:
            self._write(cycle, [
                _value(name, "histograms", tf.make_tensor_proto(np.stack([edges[:-1], edges[1:], counts], axis=1)))
                for name, (counts, edges) in rows.items()])

    def rewind(self, cycle: int) -> None:
        """Tell TensorBoard that what was written for the cycles after ``cycle`` no longer holds."""
        self.close()
        if any(self.folder.glob("events.out.tfevents.*")):
            log = tf.compat.v1.SessionLog
            self._put(step=cycle + 1, session_log=log(status=log.START))
            self.close()

    def close(self) -> None:
        """Finish the event file; a later value opens another one."""
        file, self._file = self._file, None
        if file is not None:
            with self._said():
                file.close()

    def _write(self, cycle: int, values: list[Any]) -> None:
        self._put(step=cycle, summary=tf.compat.v1.Summary(value=values))

    def _put(self, **event: Any) -> None:
        with self._said():
            if self._file is None:
                self._file = self._open()
            self._file.write(tf.compat.v1.Event(wall_time=time.time(), **event).SerializeToString())
            self._file.flush()

    @contextmanager
    def _said(self) -> Iterator[None]:
        """TensorFlow's errors of its files, as those of other files."""
        try:
            yield
        except tf.errors.OpError as error:
            self._file = None  # a line of it may be cut: what follows goes to another
            raise OSError(error.message.rpartition("; ")[2] or "cannot be written", str(self.folder)) from None

    def _open(self) -> Any:
        # TensorFlow's own writer makes a folder anew that was removed; this file goes where its folder goes.
        self.folder.mkdir(exist_ok=True)  # not its parents: the run's folder may have been removed
        times = [path.name.split(".")[3] for path in self.folder.glob("events.out.tfevents.*")]
        newest = max([*times, str(int(time.time()))])  # files are read in the order of their names
        file = tf.io.TFRecordWriter(os.fsencode(self.folder / f"events.out.tfevents.{newest}.~{time.time_ns()}"))
        file.write(tf.compat.v1.Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        return file


def _value(name: str, plugin: str, tensor: Any) -> Any:
    """One entry of a summary, as ``tf.summary`` writes it."""
    kinds = tf.compat.v1.SummaryMetadata
    metadata = kinds(plugin_data=kinds.PluginData(plugin_name=plugin))
    return tf.compat.v1.Summary.Value(tag=name, metadata=metadata, tensor=tensor)


def _encoded(grid: np.ndarray) -> list[bytes]:
    """Width, height, PNG."""
    data = io.BytesIO()
    Image.fromarray(grid).save(data, format="PNG")
    height, width, _ = grid.shape
    return [str(width).encode(), str(height).encode(), data.getvalue()]
