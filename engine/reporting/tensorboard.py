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

from engine.errors import require
from engine.reporting.writer import Moment, Start, Writer


class TensorBoard(Writer):
    """Writes event files; the folder and the file come into being with the first value. A step is a cycle.

    Args:
      folder: Where; None for ``tensorboard/`` of the run's folder.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._file: Any = None

    def open(self, start: Start) -> None:
        """Note where."""
        self._folder = self._folder or (start.folder and start.folder / "tensorboard")
        require(self._folder, "TensorBoard folder", None, "given for a run without a run_dir")

    @property
    def folder(self) -> Path:
        """Where the event files are."""
        assert self._folder is not None
        return self._folder

    def scalars(self, moment: Moment, values: Mapping[str, float]) -> None:
        """Write numbers."""
        if values:
            self._write(moment.cycle, [_value(name, "scalars", tf.make_tensor_proto(float(value), tf.float32))
                                for name, value in values.items()])

    def images(self, moment: Moment, images: Mapping[str, np.ndarray]) -> None:
        """Write pictures. Raises ``Invalid`` for what is not uint8 [h, w, 3]."""
        for name, grid in images.items():
            fits = grid.ndim == 3 and grid.shape[-1] == 3 and grid.dtype == np.uint8
            require(fits, name, f"{grid.dtype} {list(grid.shape)}", "a picture, uint8 [h, w, 3]")
        if images:
            self._write(moment.cycle, [_value(name, "images", tf.make_tensor_proto(_encoded(grid), tf.string))
                                for name, grid in images.items()])

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
        moments = [path.name.split(".")[3] for path in self.folder.glob("events.out.tfevents.*")]
        moment = max([*moments, str(int(time.time()))])  # files are read in the order of their names
        file = tf.io.TFRecordWriter(os.fsencode(self.folder / f"events.out.tfevents.{moment}.~{time.time_ns()}"))
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
