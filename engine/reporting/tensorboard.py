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


class TensorBoard:
    """Writes event files; the folder and the file come into being with the first value.

    Args:
      folder: ``tensorboard/`` of a run's folder.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._file: Any = None

    def scalars(self, cycle: int, values: Mapping[str, float]) -> None:
        """Write numbers.

        Args:
          cycle: The counter that TensorBoard calls step.
          values: {"<phase>/<term>" or "eval/<metric>": number}.
        """
        if values:
            self._write(cycle, [_value(name, "scalars", tf.make_tensor_proto(float(value), tf.float32))
                                for name, value in values.items()])

    def images(self, cycle: int, grids: Mapping[str, np.ndarray]) -> None:
        """Write pictures.

        Args:
          cycle: The counter that TensorBoard calls step.
          grids: {name: uint8 array [h, w, 3]}, as ``numpy.asarray(pictures.grid(...))`` gives it.

        Raises:
          Invalid: for another shape or dtype.
        """
        for name, grid in grids.items():
            fits = grid.ndim == 3 and grid.shape[-1] == 3 and grid.dtype == np.uint8
            require(fits, name, f"{grid.dtype} {list(grid.shape)}", "a picture, uint8 [h, w, 3]")
        if grids:
            self._write(cycle, [_value(name, "images", tf.make_tensor_proto(_encoded(grid), tf.string))
                                for name, grid in grids.items()])

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
