"""Ctrl-C, SIGTERM, a closed connection (SIGHUP), a cluster's warning (SIGUSR1): served between two calls, in time.

SIGQUIT (Ctrl-\\) says first where every thread stands.
"""

import contextlib
import faulthandler
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from engine.notebook import in_notebook
from engine.workers.workers import workers

PATIENCE = 4.0  # seconds that the main thread has to serve a signal by itself
# SIGHUP is left alone where it is ignored, as under nohup.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGQUIT")
                if hasattr(signal, name))
ALWAYS = tuple(signum for signum in SIGNALS if signum.name in ("SIGINT", "SIGTERM", "SIGQUIT"))  # ignored or not


class Interrupted(Exception):
    """Training ended by a signal, after a checkpoint if the run has a folder. ``signum`` is its number."""

    def __init__(self, signum: int, what: str = "a checkpoint was saved") -> None:
        super().__init__(farewell(signum, what))
        self.signum = signum

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows of it: the line alone, not the way to it."""
        return [str(self)]


def farewell(signum: int, what: str) -> str:
    """The line that a person reads: what happened, and how it goes on."""
    if in_notebook():
        return f"{signal.Signals(signum).name}: {what}; train(...) of the same trainer goes on from here"
    if workers().count > 1:
        return f"{signal.Signals(signum).name}: {what}; the same command on all workers goes on from here"
    return f"{signal.Signals(signum).name}: {what}; continue with: {shlex.join(['python', *sys.argv])}"


def leave(signum: int, what: str) -> NoReturn:
    """End the process now, from whatever thread, with the exit code of ``signum``."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(OSError):  # of a closed terminal
        os.write(2, f"\n{farewell(signum, what)}\n".encode(errors="surrogateescape"))
    os._exit(128 + signum)


class Deferred:
    """A handler of an interrupt that comes while a training opens or writes its files: it waits."""

    def __init__(self) -> None:
        self.caught: int | None = None

    def __call__(self, signum: int, frame: Any) -> None:
        self.caught = signum


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """In a notebook, whose process goes on: interrupts wait in here, but in a ``Watch``, and end the cell in one line.

    Elsewhere they do what they did before.
    """
    if not in_notebook() or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler := Deferred())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if handler.caught:
        raise Interrupted(handler.caught, "the training had ended")


class Watch:
    """Collects signals while the main thread trains; a second one leaves at once, by ``KeyboardInterrupt``.

    Python runs a handler only when the main thread is back in Python, which may be in a minute when TensorFlow
    compiles. So a thread listens too: if a signal is not served within ``PATIENCE``, it calls ``overdue``; if a
    second one is not within a second, it ends the process.

    In a notebook an interrupt never ends the process, whose other variables would be lost: however often it comes, it
    is served between two calls.

    Attributes:
      caught: The number of the first signal, or None.
    """

    def __init__(self, overdue: Callable[[int], None]) -> None:
        self.caught: int | None = None
        self._kept = (signal.SIGINT,) if in_notebook() else ()  # what must not end the process
        self._overdue = overdue
        self._served = threading.Event()
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)

    @contextlib.contextmanager
    def watching(self) -> Iterator["Watch"]:
        """Signals are collected inside; outside they do what they did before."""
        try:
            before = {signum: signal.signal(signum, self._handle) for signum in SIGNALS
                      if signal.getsignal(signum) != signal.SIG_IGN or signum in ALWAYS}
        except ValueError:  # not the main thread: signals are not ours
            yield self
            return
        came = before.get(signal.SIGINT)
        if isinstance(came, Deferred):
            self.caught, came.caught = came.caught, None
        wakeup = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        thread = threading.Thread(target=self._listen, name="signals", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._served.set()
            signal.set_wakeup_fd(wakeup)
            for signum, handler in before.items():
                signal.signal(signum, handler)
            self._sender.close()  # ends the thread
            thread.join()
            self._receiver.close()

    def _handle(self, signum: int, frame: Any) -> None:
        if self.caught and signum not in self._kept:
            raise KeyboardInterrupt
        self.caught = signum

    def _listen(self) -> None:
        count = 0
        while data := self._receiver.recv(64):
            for signum in data:
                if signum in self._kept:
                    threading.Thread(target=self._noticed, daemon=True).start()
                elif signum in SIGNALS:
                    count += 1
                    if signum == getattr(signal, "SIGQUIT", 0):  # Ctrl-\\: where does it stand?
                        with contextlib.suppress(OSError):
                            faulthandler.dump_traceback(2)
                    press = self._press if count == 1 else self._end
                    threading.Thread(target=press, args=(signum,), daemon=True).start()

    def _noticed(self) -> None:
        if not self._served.wait(PATIENCE):
            print("interrupt: training ends when TensorFlow has finished this call, which may compile", flush=True)

    def _press(self, signum: int) -> None:
        if not self._served.wait(PATIENCE):
            self._overdue(signum)

    def _end(self, signum: int) -> None:
        if not self._served.wait(1.0):
            leave(signum, "nothing was saved since the last checkpoint")
