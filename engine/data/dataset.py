"""A data set in memory: what every loader in ``engine.data.catalog`` gives."""

from dataclasses import dataclass, replace

import numpy as np

from engine.data.folds import holdout, k_folds
from engine.data.memory import aligned
from engine.data.source import ArraySource, Transform, unchanged
from engine.errors import require

Split = dict[str, np.ndarray]  # arrays of one length in the first axis


@dataclass(frozen=True)
class Dataset:
    """Arrays to train on and arrays held out, as stored.

    Pictures are "image": uint8 [N, h, w, c] in 0..255, and "label": int32 [N], from 0. Regression is "x":
    float32 [N, d], and "y": float32 [N, 1]. Texts are "tokens": int32 [N, T], and "label".
    """

    name: str
    train: Split
    test: Split  # held out: as train, with other examples
    classes: tuple[str, ...] = ()  # names of the labels 0, 1, ...; none for regression
    place: str = ""  # where it was found

    def __post_init__(self) -> None:
        for part in ("train", "test"):  # so that sources need no copy
            held = {name: aligned(array) for name, array in getattr(self, part).items()}
            object.__setattr__(self, part, held)

    def source(self, part: str, batch_size: int, seed: int = 0, transform: Transform = unchanged,
               names: tuple[str, ...] | None = None) -> ArraySource:
        """Batches of the part ``train`` or ``test``: of all its arrays, or of those ``names``."""
        require(part in ("train", "test"), "part", part, "train or test")
        arrays = self.train if part == "train" else self.test
        chosen = {name: arrays[name] for name in names or arrays}
        return ArraySource(chosen, min(batch_size, len(next(iter(chosen.values())))) if part == "test" else batch_size,
                           seed, transform)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """h, w, c of a picture."""
        return self.train["image"].shape[1:]

    def size(self, part: str) -> int:
        """Examples of the part ``train`` or ``test``."""
        return len(next(iter((self.train if part == "train" else self.test).values())))

    def parted(self, train: np.ndarray, test: np.ndarray) -> "Dataset":
        """The same set with other parts: positions in today's ``train``. Today's ``test`` is left alone."""
        return replace(self, train={name: array[train] for name, array in self.train.items()},
                       test={name: array[test] for name, array in self.train.items()})

    def with_validation(self, fraction: float, seed: int) -> "Dataset":
        """The same set with ``fraction`` of the part to train on, even over the classes, in place of the test part."""
        return self.parted(*holdout(self.train.get("label", self.size("train")), fraction, seed))

    def fold(self, number: int, count: int, seed: int) -> "Dataset":
        """The same set with fold ``number``, from 1, of ``count`` of the part to train on in place of the test part."""
        return self.parted(*k_folds(self.train.get("label", self.size("train")), count, seed)[number - 1])
