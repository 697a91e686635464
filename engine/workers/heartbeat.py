"""A partner that is stopped, or whose machine is gone, sends no beats: that is found within a stated time."""

import contextlib
import os
import select
import threading
import time

from engine.workers.links import BEATS, WHY, Links

EACH = 1.0  # seconds between two beats
SILENCE = 30.0  # seconds without one after which a partner counts as lost: PHASELOOP_SILENCE_SECONDS


class Heartbeat:
    """Sends beats to the partners, and listens to theirs, in a thread of its own.

    A partner that ends in order says so (``stop``): then its silence is no loss. One that has lost another says whom.
    """

    def __init__(self, links: Links) -> None:
        self._links, self._sockets = links, dict(links.sockets[BEATS])
        self._silence = float(os.environ.get("PHASELOOP_SILENCE_SECONDS", SILENCE))
        self._heard = dict.fromkeys(self._sockets, time.monotonic())
        self._stopped, self._until, self._listened = threading.Event(), 0.0, time.monotonic()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """This worker has done its part: partners are told, and have a second to say the same."""
        self._until = time.monotonic() + EACH
        self._stopped.set()
        for link in list(self._sockets.values()):
            with contextlib.suppress(OSError):
                link.send(b"x")  # the end
        self._thread.join()

    def _run(self) -> None:
        due = 0.0
        while self._sockets and not self._links.lost and not (
                self._stopped.is_set() and time.monotonic() > self._until):
            if time.monotonic() >= due:
                due = time.monotonic() + EACH
                self._send()
            self._listen()
            for rank, heard in list(self._heard.items()):
                silent = time.monotonic() - heard
                if rank in self._sockets and silent > self._silence:
                    self._links.lose(f"worker {rank} has been silent for {silent:.0f} s")

    def _send(self) -> None:
        if self._stopped.is_set():
            return
        for link in self._sockets.values():
            with contextlib.suppress(OSError):
                link.send(b".")

    def _listen(self) -> None:
        try:
            readable, _, _ = select.select(list(self._sockets.values()), [], [], EACH / 4)
        except (OSError, ValueError):
            return
        before, self._listened = self._listened, time.monotonic()
        if self._listened - before > self._silence / 2:  # it was this worker that was stopped
            self._heard = dict.fromkeys(self._heard, self._listened)
        for rank, link in list(self._sockets.items()):
            if link not in readable:
                continue
            try:
                got = link.recv(4096)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                got = b""
            self._heard[rank] = time.monotonic()
            got, told, why = got.partition(WHY)
            if told:
                self._links.lose("".join(filter(str.isprintable, why.decode(errors="replace"))))
            elif b"x" in got:
                del self._sockets[rank]
            elif not got:
                del self._sockets[rank]
                if not self._stopped.is_set():
                    self._links.lose(f"worker {rank} has ended")
