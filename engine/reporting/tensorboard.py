"""TensorBoard: scalars and pictures of a run as event files."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from engine.errors import require


class TensorBoard:
    """Writes event files; the folder and the file come into being with the first value.

    Args:
      folder: ``tensorboard/`` of a run's folder.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self._writer: Any = None

    def scalars(self, cycle: int, values: Mapping[str, float]) -> None:
        """Write numbers.

        Args:
          cycle: The counter that TensorBoard calls step.
          values: {"<phase>/<term>" or "eval/<metric>": number}.
        """
        if not values:
            return
        with self._open().as_default(step=cycle):
            for name, value in values.items():
                tf.summary.scalar(name, float(value))
        self._writer.flush()

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
        if not grids:
            return
        with self._open().as_default(step=cycle):
            for name, grid in grids.items():
                tf.summary.image(name, grid[np.newaxis])
        self._writer.flush()

    def rewind(self, cycle: int) -> None:
        """Tell TensorBoard that what was written for the cycles after ``cycle`` no longer holds."""
        self.close()
        there = sorted(self.folder.glob("events.out.tfevents.*"))
        if not there:
            return
        now, log = time.time(), tf.compat.v1.SessionLog
        start = tf.compat.v1.Event(wall_time=now, step=cycle + 1, session_log=log(status=log.START))
        version = tf.compat.v1.Event(wall_time=now, file_version="brain.Event:2")
        moment = there[-1].name.split(".")[3]  # files are read in the order of their names: after all that are there
        name = f"events.out.tfevents.{moment}.~{time.time_ns()}"
        with tf.io.TFRecordWriter(str(self.folder / name)) as file:
            file.write(version.SerializeToString())
            file.write(start.SerializeToString())

    def close(self) -> None:
        """Finish the event file; a later value opens another one."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _open(self) -> Any:
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.folder))
        return self._writer
