"""The writers of a run as one: each is told the same, in their order."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from engine.notebook import in_notebook
from engine.reporting.notebook import Notebook
from engine.reporting.picture_files import PictureFiles
from engine.reporting.progress import Progress
from engine.reporting.report_file import ReportFile
from engine.reporting.rows import CSV, Rows
from engine.reporting.tensorboard import TensorBoard
from engine.reporting.writer import History, Start, Timestamp, Writer
from engine.run.folder import RunFolder

Kept = tuple[Callable[[], Any], Callable[[Any], None]]


def usual_writers(has_folder: bool) -> list[Writer]:
    """What records a run where nobody says otherwise."""
    progress = Notebook() if in_notebook() else Progress()
    return [progress, CSV(), TensorBoard(), PictureFiles(), ReportFile()] if has_folder else [progress, Rows()]


class FanOut:
    """Several writers.

    Args:
      writers: Writers that are told; None for the usual ones.
      folder: Folder of the run; None for a run without one.
    """

    def __init__(self, writers: Sequence[Writer] | None, folder: RunFolder | None) -> None:
        self._writers = usual_writers(folder is not None) if writers is None else list(writers)
        if not any(isinstance(writer, Rows) for writer in self._writers):
            self._writers.append(Rows())  # for the history
        self._folder = folder
        self._opened: list[Writer] = []

    @contextlib.contextmanager
    def closing(self, finished: Callable[[], bool]) -> Iterator[None]:
        """Close, at the end, each writer that was opened inside, whatever happens."""
        self._opened = []

        def close(writer: Writer) -> None:
            if writer in self._opened:
                writer.close(finished())

        with contextlib.ExitStack() as stack:
            for writer in reversed(self._writers):
                stack.callback(close, writer)
            yield

    def open(self, start: Start) -> None:
        """Begin."""
        for writer in self._writers:
            writer.open(start)
            self._opened.append(writer)

    def kept(self) -> Iterator[tuple[str, Kept]]:
        """What checkpoints hold of them: its name, and (what gives it, what takes it back)."""
        for writer in self._writers:
            yield from writer.kept().items()

    def history(self, metrics: Mapping[str, float]) -> History:
        """What the rows say so far."""
        return History(next((each.columns() for each in self._writers if isinstance(each, Rows)), {}), metrics)

    @property
    def takes_lines(self) -> bool:
        """Whether any of them shows lines to people."""
        return any(type(writer).line is not Writer.line for writer in self._writers)

    @property
    def on_terminal(self) -> bool:
        """Whether a bar on a terminal shows the means."""
        return any(isinstance(writer, Progress) and writer.on_terminal for writer in self._writers)

    def tell(self, what: str, *given: Any) -> None:
        """Have each do it. Raises ``Invalid`` if the run's folder was removed: nothing makes it again."""
        self._check()
        try:
            for writer in self._writers:
                getattr(writer, what)(*given)
        except FileNotFoundError:
            self._check()
            raise

    def progress(self, timestamp: Timestamp, means: Mapping[str, float]) -> None:
        """How far it is; touches no file."""
        for writer in self._writers:
            writer.progress(timestamp, means)

    def line(self, text: str) -> None:
        """A line for people."""
        for writer in self._writers:
            writer.line(text)

    def rewind(self, cycle: int) -> None:
        """The run goes on from ``cycle``."""
        for writer in self._writers:
            writer.rewind(cycle)

    def _check(self) -> None:
        if self._folder:
            self._folder.check()
