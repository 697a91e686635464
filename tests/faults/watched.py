"""What the tests with kills and signals see of a training in another process: a board in shared memory, and hooks."""

import mmap
import os
import sys
import time

import numpy as np

from engine.run import checkpoint
from tests.faults import workloads

# The calls of C that a save makes on the disk.
OPERATIONS = ("mkdir", "open", "write", "flush", "__exit__", "close", "fsync", "rename", "scandir", "unlink", "rmdir")


class Board:
    """Numbers that a process writes and its parent reads, also after its death.

    Attributes, each -1 until it is known:
      start, now: The cycle that the process began at, and the newest it has trained.
      began: The time (seconds, monotonic) when the first call of the compiled loop was done.
      saving: 1 inside a save, 0 outside.
      operation: The newest file operation of a save, as its place in OPERATIONS.
      sent: The time at which a signal was sent; ``cycle`` the newest cycle then, ``late`` 1 if it missed its state.
      mkdir, open ...: How many of each the newest save has made.
    """

    NAMES = ("start", "now", "began", "saving", "operation", "sent", "cycle", "late", *OPERATIONS)

    def __init__(self, other=None):
        """``other``: a board to copy."""
        self.__dict__["_numbers"] = np.frombuffer(mmap.mmap(-1, 8 * len(self.NAMES)), np.float64)
        self._numbers[:] = other._numbers if other else -1

    def clear(self):
        self._numbers[:] = -1

    def __getattr__(self, name):
        return float(self._numbers[self.NAMES.index(name)])

    def __setattr__(self, name, value):
        self._numbers[self.NAMES.index(name)] = value

    def send(self, signum, process=None):
        """Send a signal, to this process if no other is named, and note when."""
        self.cycle, self.sent = self.now, time.monotonic()
        os.kill(process or os.getpid(), signum)


def fork(act, *args, log):
    """``workloads.fork``, with all that the process prints in the file ``log``."""
    def quietly():
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        return act(*args)

    return workloads.fork(quietly)


def watch_cycles(trainer, board):
    """Tell the board each call of the compiled loop."""
    run = trainer.engine.run
    board.start = board.now = trainer.counters.cycles

    def told(cycles):
        report = run(cycles)
        board.now = trainer.counters.cycles
        if board.began < 0:
            board.began = time.monotonic()
        return report

    trainer.engine.run = told


def watch_saves(board, number=0, name="", nth=0, act=lambda: None):
    """Tell the board each file operation of each save, and ``act()`` just before one of them.

    Args:
      number: Number of the first save of this process in which to act.
      name, nth: Name and place of the operation: the ``nth`` one called ``name``; in a save that has fewer it waits for
        the next.
    """
    save, saves, acted = checkpoint.save, [], []

    def seen(frame, event, called):
        if event == "c_call" and called.__name__ in OPERATIONS:
            count = getattr(board, called.__name__) + 1
            setattr(board, called.__name__, count)
            board.operation = OPERATIONS.index(called.__name__)
            if not acted and len(saves) >= number and (called.__name__, count) == (name, nth):
                acted.append(True)
                act()

    def watched(*args):
        saves.append(args)
        for operation in OPERATIONS:
            setattr(board, operation, 0)
        board.saving = 1
        sys.setprofile(seen)
        try:
            return save(*args)
        finally:
            sys.setprofile(None)
            board.saving = 0

    checkpoint.save = watched


def any_operation(board, draw):
    """What, of a run that has ended, ``watch_saves`` needs to act before any file operation of a save."""
    name = draw.choice([name for name in OPERATIONS if getattr(board, name) > 0])
    return draw.randint(1, 3), name, draw.randint(1, int(getattr(board, name)))
