"""A training script whose worker waits at a place that the environment names, so that a signal meets it there.

  PHASELOOP_HELD="save 0 2 rename 1"  the chief, in its second save, just before the first rename
  PHASELOOP_HELD="state 0 before"     worker 0, before it sends or gets the state at a resume; "half": the chief, when
                                      half of it is sent; "after": before it goes on
  PHASELOOP_HELD="evaluation 1"       worker 1, in its first evaluation
  PHASELOOP_HELD="row 1"              worker 1, before its first row of metrics.csv

It makes the file that PHASELOOP_HELD_FILE names, and waits until that is gone: once in a run, and not in a process
that is started again. Or it does what the others do not:

  PHASELOOP_HELD="option 1 --seed 5"  worker 1 has these words, too
  PHASELOOP_HELD="program 1"          worker 1 is of another commit
  PHASELOOP_HELD="alone 1"            worker 1 evaluates at its first row
  PHASELOOP_HELD="dies 1"             worker 1 is killed in its first evaluation, in each process
  PHASELOOP_HELD="full 0"             the chief's disk is full at its second save
"""

import errno
import json
import os
import runpy
import signal
import sys
import time
from pathlib import Path

LIMIT = 60.0  # seconds, then it goes on


def hold():
    """Wait here, once in all processes of a run."""
    place = Path(os.environ["PHASELOOP_HELD_FILE"])
    try:
        place.with_suffix(".once").touch(exist_ok=False)
    except FileExistsError:
        return
    place.touch()
    until = time.monotonic() + LIMIT
    while place.exists() and time.monotonic() < until:
        time.sleep(0.01)


def _in_save(number, name, nth):
    from tests.faults import watched
    watched.watch_saves(watched.Board(), int(number), name, int(nth), hold)


def _at_state(where):
    from engine.workers.collectives import Collectives
    broadcast = Collectives.broadcast

    def held(self, values, name):
        if name != "state" or (len(values) == 0 and where == "half"):
            return broadcast(self, values, name)
        if where == "before":
            hold()
        if where == "half":
            with_half(self._links)
        found = broadcast(self, values, name)
        if where == "after":
            hold()
        return found

    Collectives.broadcast = held


def with_half(links):
    """Have the next message leave in two halves, held between them."""
    sockets = links.sockets[0]
    for rank, link in list(sockets.items()):
        sockets[rank] = Half(link)


class Half:
    """A socket of which a long message goes in halves."""

    def __init__(self, link):
        self._link, self._sent = link, False

    def sendmsg(self, parts):
        size = sum(len(part) for part in parts)
        if size < 4096 or self._sent:
            return self._link.sendmsg(parts)
        self._sent = True
        sent = self._link.send(b"".join(bytes(part) for part in parts)[:size // 2])
        hold()
        return sent

    def __getattr__(self, name):
        return getattr(self._link, name)


def _before(owner, name, act):
    """``act(self)`` before each call of a method."""
    method = getattr(owner, name)

    def after(self, *given):
        act(self)
        return method(self, *given)

    setattr(owner, name, after)


def _evaluation(act):
    from engine.run.evaluate import Evaluation
    _before(Evaluation, "means", act)


def _row(act):
    from engine.reporting.recorder import Recorder
    _before(Recorder, "_log", act)


def _other_program():
    from engine.run import together
    together._program = lambda: "another"


def _full():
    from engine.run import checkpoint
    save, saves = checkpoint.save, []

    def full(*given):
        saves.append(given)
        if len(saves) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(given[0]))
        return save(*given)

    checkpoint.save = full


WHAT = {"save": _in_save, "state": _at_state, "program": _other_program, "full": _full,
        "evaluation": lambda: _evaluation(lambda evaluation: hold()),
        "row": lambda: _row(lambda recorder: hold()),
        "alone": lambda: _row(lambda recorder: recorder._trainer.evaluate(recorder._held_out)),
        "dies": lambda: _evaluation(lambda evaluation: os.kill(os.getpid(), signal.SIGKILL)),
        "none": lambda: None}


def run(script, words):
    """The script, as ``python script words`` runs it."""
    what, rank, *rest = os.environ.get("PHASELOOP_HELD", "none 0").split()
    if json.loads(os.environ["TF_CONFIG"])["task"]["index"] == int(rank):
        if what == "option":
            words = [*words, *rest]
        else:
            WHAT[what](*rest)
    sys.argv = [script, *words]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    sys.path[:0] = [str(Path(sys.argv[1]).parent)]
    run(sys.argv[1], sys.argv[2:])
