"""Data from outside of a run, in the form in which its own are stored, made into sources for its nets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from engine.data.image_file import Form
from engine.data.source import ArraySource, Transform
from engine.data.unlabelled import pictures as read_pictures
from engine.errors import Invalid, require
from engine.serving import Entry, entry_of

AT_ONCE = 256  # examples in a batch


class Stored:
    """How a run's data are stored, and what evaluation does to them.

    Args:
      folder: Folder of the run.
      form: {key: [dtype, *shape]} of an example.
      transform: What evaluation does to a batch; None if nobody knows.
      fit: How pictures are brought to the form's size.
    """

    def __init__(self, folder: Path, form: Mapping[str, Any], transform: Transform | None, fit: str) -> None:
        self._folder, self._form, self._transform, self._fit = folder, form, transform, fit

    def entry(self, net: keras.Model) -> Entry:
        """What is handed to a net. Raises ``Invalid`` where the transform is not known."""
        return entry_of(net, self._form, self._transform) or self._refuse()

    def source(self, arrays: Mapping[str, np.ndarray], batch_size: int = AT_ONCE) -> ArraySource:
        """A source of ``arrays``, with evaluation's transform."""
        return _of_arrays(arrays, batch_size, self._transform or self._refuse())

    def zeros(self, count: int) -> ArraySource:
        """So many examples of zeros, for what reads none."""
        return self.source({key: np.zeros([count, *(side or 1 for side in shape)], dtype)
                            for key, (dtype, *shape) in self._form.items()})

    def read(self, data: Any, entry: Entry, batch_size: int) -> ArraySource:
        """A source of what a net reads: an array, {name: array} with it, or picture files. Raises ``Invalid``."""
        key, dtype, shape = entry.key, entry.dtype, entry.shape
        if isinstance(data, str | Path) or (isinstance(data, Sequence) and data and isinstance(data[0], str | Path)):
            data = self._pictures([Path(each) for each in ([data] if isinstance(data, str | Path) else data)], entry)
        arrays = dict(data) if isinstance(data, Mapping) else {key: np.asarray(data)}
        require(key in arrays, "data", ", ".join(map(str, arrays)), f"with the key {key}, which the run reads")
        fits = arrays[key].ndim == len(shape) + 1 and all(
            wanted in (None, side) for wanted, side in zip(shape, arrays[key].shape[1:], strict=True))
        require(fits, key, f"{arrays[key].dtype.name} {list(arrays[key].shape)}", f"{dtype} [N, "
                f"{', '.join('any' if side is None else str(side) for side in shape)}], as the run's data are stored")
        require(arrays[key].dtype.name == dtype, key, arrays[key].dtype.name, f"{dtype}, as the run's data are stored")
        return _of_arrays({key: arrays[key]}, batch_size, entry.transform)

    def _pictures(self, paths: Sequence[Path], entry: Entry) -> np.ndarray:
        shape = entry.shape
        require(len(shape) == 3, "data", f"{len(paths)} files", f"arrays of {entry.key}: the net reads no pictures")
        height, width, channels = (int(side or 0) for side in shape)
        store, good, faults = read_pictures(list(paths), Form((height, width), channels, self._fit))
        require(not faults, "data", "; ".join(faults), "pictures that can be read")
        return store.read(np.array(good))

    def _refuse(self) -> Any:
        raise Invalid(f"`transform` (not given) must be given, open_run({str(self._folder)!r}, transform=...): the run "
                      "held nothing out that would say it")


def _of_arrays(arrays: Mapping[str, np.ndarray], batch_size: int, transform: Transform) -> ArraySource:
    length = len(next(iter(arrays.values())))
    require(length > 0, "data", "no examples", "at least one example")
    return ArraySource(arrays, min(batch_size, length), transform=transform)
