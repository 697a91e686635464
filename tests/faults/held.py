"""A training script whose worker waits at a place that the environment names, so that a signal meets it there.

  PHASELOOP_HELD="save 2 rename 1"    the chief, in its second save, just before the first rename
  PHASELOOP_HELD="state 0 before"     worker 0, before it sends or gets the state at a resume; "half": the chief, when
                                      half of it is sent; "after": before it goes on
  PHASELOOP_HELD="evaluation 1"       worker 1, in its first evaluation

It makes the file that PHASELOOP_HELD_FILE names, and waits until that is gone. A file that was there before holds
nobody: so a process that is started again goes through.
"""

import json
import os
import runpy
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


def _in_evaluation():
    from engine.run.evaluate import Evaluation
    means = Evaluation.means

    def held(self):
        hold()
        return means(self)

    Evaluation.means = held


def run(script, words):
    """The script, as ``python script words`` runs it."""
    what, *rest = os.environ.get("PHASELOOP_HELD", "none").split()
    index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    if what == "save" and index == 0:
        _in_save(*rest)
    if what == "state" and index == int(rest[0]):
        _at_state(rest[1])
    if what == "evaluation" and index == int(rest[0]):
        _in_evaluation()
    sys.argv = [script, *words]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    sys.path[:0] = [str(Path(sys.argv[1]).parent)]
    run(sys.argv[1], sys.argv[2:])
