"""Progress: a bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from tqdm import tqdm

BAR = "{percentage:3.0f}%|{bar:12}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}]{postfix}"


class _Bar(tqdm):
    """A bar followed by words, as many as fit on the terminal each time that it is drawn."""

    monitor_interval = 0  # no thread beside the training
    words: Sequence[str] = ()

    @property
    def format_dict(self) -> dict[str, Any]:
        state = dict(super().format_dict)
        room = (state["ncols"] or 80) - len(self.format_meter(**{**state, "ncols": None}))
        shown = ""
        for word in self.words:
            longer = f"{shown}, {word}" if shown else word
            if len(longer) + len(", ") > room:
                break
            shown = longer
        return {**state, "postfix": shown}


def digits(value: float) -> str:
    """A number in 4 significant digits, for people."""
    return f"{value:#.4g}".rstrip(".")


def describe(cycles: int, epoch: float, terms: Mapping[str, float], unit: str = "cycle") -> str:
    """One line of text: ``cycle 1200  epoch 2.56  elbo/objective 251.3  elbo/kl 16.52``.

    Args:
      cycles: Cycles done since the start of the run.
      epoch: Epochs done since the start of the run.
      terms: {"<phase>/<term>": mean}.
      unit: The word for what is counted.
    """
    return "  ".join([f"{unit} {cycles}", *_words(epoch, terms)])


def _words(epoch: float, terms: Mapping[str, float]) -> list[str]:
    return [f"epoch {epoch:.2f}", *(f"{name} {digits(value)}" for name, value in terms.items())]


class Progress:
    """How far training is. Draws a bar if ``stream`` is a terminal; otherwise only ``line`` writes.

    Args:
      total_cycles: Cycles at the end of training, counted from the start of the run.
      unit: The word for what is counted.
      stream: Where to draw; standard error by default.
      initial: Cycles done before, in a continued run; they do not count in the rate.
    """

    describe = staticmethod(describe)

    def __init__(self, total_cycles: int, unit: str = "cycle", stream: TextIO | None = None,
                 initial: int = 0) -> None:
        self.stream = sys.stderr if stream is None else stream
        self._bar: Any = None
        if self.stream.isatty():
            self._bar = _Bar(total=total_cycles, initial=initial, unit=f" {unit}s", file=self.stream,
                             dynamic_ncols=True, miniters=1, bar_format=BAR)

    @property
    def on_terminal(self) -> bool:
        """Is a bar drawn?"""
        return self._bar is not None

    def update(self, cycles: int, epoch: float, terms: Mapping[str, float]) -> None:
        """Move the bar and show the terms, as many as fit beside it; nothing elsewhere than on a terminal.

        Args:
          cycles: Cycles done since the start of the run.
          epoch: Epochs done since the start of the run.
          terms: {"<phase>/<term>": mean}; the first ones are shown if not all fit.
        """
        if self._bar is None:
            return
        self._bar.words = _words(epoch, terms)
        self._bar.update(cycles - self._bar.n)

    def line(self, text: str) -> None:
        """Write one full line: above the bar on a terminal, plainly elsewhere."""
        if self._bar is None:
            print(text, file=self.stream, flush=True)
        else:
            tqdm.write(text, file=self.stream)

    def close(self) -> None:
        """Leave the bar as it stands, and end its line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
