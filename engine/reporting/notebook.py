"""Progress and pictures in the cell of a notebook that trains."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from engine import notebook
from engine.reporting import pictures
from engine.reporting.progress import BAR, Progress, TextBar, Worded
from engine.reporting.writer import Start, Timestamp


class Notebook(Progress):
    """The bar as the notebook's widget, or a line of text without ipywidgets; each picture, replaced by its newest."""

    def open(self, start: Start) -> None:
        """As ``Progress.open``; the pictures of this training are shown below this cell."""
        self._shown: dict[str, notebook.Shown] = {}
        super().open(start)

    def images(self, timestamp: Timestamp, images: Mapping[str, np.ndarray]) -> None:
        """Show each in its place."""
        for name, image in images.items():
            text, data = f"{name}, epoch {timestamp.epoch:.2f}", io.BytesIO()
            pictures.titled(Image.fromarray(image), text).save(data, format="PNG")
            self._shown.setdefault(name, notebook.Shown()).show(data.getvalue(), text)

    @property
    def _draws(self) -> bool:
        return True

    def _made(self, options: Mapping[str, Any]) -> Any:
        if not notebook.has_widgets():
            return TextBar(**options, file=self.stream, ncols=80)
        from tqdm.notebook import tqdm as widget

        class Bar(Worded, widget):
            """Words beside the notebook's own bar."""

            monitor_interval = 0

        return Bar(**{**options, "bar_format": BAR.replace("{bar:10}", "{bar}")}, file=self.stream)

    def _write(self, text: str) -> None:
        if isinstance(self._bar, TextBar):
            super()._write(text)
        else:
            print(text, file=self.stream, flush=True)
