"""pictures/ of a run's folder: <name>-<cycle>.png."""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from engine.reporting import pictures
from engine.reporting.writer import Start, Timestamp, Writer


class PictureFiles(Writer):
    """A PNG file per picture."""

    def open(self, start: Start) -> None:
        """Note where."""
        assert start.folder is not None
        self._folder = start.folder / "pictures"

    def images(self, timestamp: Timestamp, images: Mapping[str, np.ndarray]) -> None:
        """Write each, whole or not at all."""
        for name, image in images.items():
            self._folder.mkdir(exist_ok=True)  # not its parents: the run's folder may have been removed
            pictures.save(Image.fromarray(image), self._folder / f"{name}-{timestamp.cycle}.png", parents=False)
