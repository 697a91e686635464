"""One writer in the background: a checkpoint goes to disk while the next updates run."""

import threading
from collections.abc import Callable


class SavingThread:
    """Runs one job at a time in a thread of its own. An error in it is raised by the next call here."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self, job: Callable[[], object]) -> None:
        """Begin ``job``; an earlier one is waited for. Raises its error."""
        self.wait()
        self._thread = threading.Thread(target=self._run, args=(job,), name="checkpoint writer", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise the error of the last job, if it had one."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def wait(self) -> None:
        """Until nothing is being written. Raises the last job's error."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()

    def _run(self, job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:  # for whoever asks next
            self._error = error
