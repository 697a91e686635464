"""Progress: a bar on a terminal, plain lines elsewhere."""

import math
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from tqdm import tqdm

from engine.notebook import in_notebook
from engine.reporting.writer import Start, Timestamp, Writer

BAR = "{desc} {percentage:3.0f}%|{bar:10}| [{elapsed}<{remaining}, {rate_noinv_fmt}]{postfix}"


class Worded:
    """A part of a bar of tqdm's: it is followed by words, as many as fit beside it each time that it is drawn."""

    words: Sequence[str] = ()

    @property
    def format_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().format_dict)  # type: ignore[misc]
        meter = self.format_meter(**{**state, "ncols": None, "colour": None})  # type: ignore[attr-defined]
        room = (state["ncols"] if isinstance(state["ncols"], int) else 0) or 80
        room -= len(meter)
        shown = ""
        for word in self.words:
            longer = f"{shown}, {word}" if shown else word
            if len(longer) + len(", ") > room:
                break
            shown = longer
        return {**state, "postfix": shown}


class TextBar(Worded, tqdm):
    """A bar of letters."""

    monitor_interval = 0  # no thread beside the training


def coloured(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, and nobody wants none (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def digits(value: float) -> str:
    """A number in 4 significant digits, for people."""
    return f"{value:#.4g}".rstrip(".")


def describe(cycles: int, epoch: float, terms: Mapping[str, float]) -> str:
    """One line of text: ``cycle 1200  epoch 2.56  elbo: objective 251.3  kl 16.52``; each phase is named once."""
    words, before = [f"cycle {cycles}", f"epoch {epoch:.2f}"], ""
    for name, value in terms.items():
        group, slash, term = name.rpartition("/")
        words.append(f"{f'{group}: ' if slash and group != before else ''}{term} {digits(value)}")
        before = group
    return "  ".join(words)


class Progress(Writer):
    """How far the training is. Draws a bar if ``stream`` is a terminal; otherwise only ``line`` writes.

    Args:
      stream: Stream to draw on; standard error by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._bar: Any = None
        self._epochs, self._beating = 1, threading.Event()

    @property
    def stream(self) -> TextIO:
        """Where it is drawn."""
        usual = sys.stdout if in_notebook() else sys.stderr  # a notebook shows the latter in red
        return usual if self._stream is None else self._stream

    @property
    def on_terminal(self) -> bool:
        """Is a bar drawn?"""
        return self._bar is not None

    def open(self, start: Start) -> None:
        """Draw the bar. What was done before, in a continued run, does not count in the rate."""
        if not self._draws:
            return
        self._epochs = max(1, math.ceil(start.target / start.cycles_per_epoch - 1e-6))
        self._bar = self._made({
            "total": start.target, "initial": start.cycle, "unit": " cycles", "miniters": 1, "bar_format": BAR,
            "desc": self._epoch(start.cycle / start.cycles_per_epoch),
            **({"colour": "green"} if coloured(self.stream) else {})})
        self._bar.words = ["compiling"]
        self._bar.refresh()
        self._beating.clear()
        threading.Thread(target=self._beat, args=(self._bar,), daemon=True).start()

    def progress(self, timestamp: Timestamp, means: Mapping[str, float]) -> None:
        """Move the bar and show the means, as many as fit beside it; the first ones go before."""
        self._beating.set()
        if self._bar is not None:
            self._bar.words = [f"{_short(name)} {digits(value)}" for name, value in means.items()]
            self._bar.set_description_str(self._epoch(timestamp.epoch), refresh=False)
            self._bar.update(timestamp.cycle - self._bar.n)

    def line(self, text: str) -> None:
        """Write one full line: above the bar on a terminal, plainly elsewhere."""
        if self._bar is None:
            print(text, file=self.stream, flush=True)
        else:
            self._write(text)

    def close(self, finished: bool = True) -> None:
        """Leave the bar as it stands, and end its line."""
        self._beating.set()
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    @property
    def _draws(self) -> bool:
        return self.stream.isatty()

    def _made(self, options: Mapping[str, Any]) -> Any:
        """The bar."""
        return TextBar(**options, file=self.stream, dynamic_ncols=True)

    def _write(self, text: str) -> None:
        """A line beside the bar."""
        tqdm.write(text, file=self.stream)

    def _epoch(self, epoch: float) -> str:
        return f"epoch {min(self._epochs, int(epoch + 1e-6) + 1)}/{self._epochs}"

    def _beat(self, bar: Any) -> None:
        """The clock goes on while TensorFlow compiles, until the first progress."""
        while not self._beating.wait(1.0):
            bar.refresh()


def _short(name: str) -> str:
    """A phase's objective by the name of the phase alone."""
    return name.removesuffix("/objective")
