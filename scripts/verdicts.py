"""What the exit codes of several workers mean together.

Of one worker: 0 it is done; 2 bad input; 3 the health watch stopped it; 128 + signal a wanted stop, after a checkpoint;
75 a partner was lost, and this worker is fine. With any other code, or by a signal, it died.
"""

import signal
from collections.abc import Sequence
from typing import NamedTuple

from worker_process import Worker

LOST = 75  # EX_TEMPFAIL of <sysexits.h>
BAD_INPUT, UNHEALTHY = 2, 3
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGQUIT")
                if hasattr(signal, name))  # those by which a person or a cluster stops a training
WANTED = tuple(128 + signum for signum in SIGNALS)
RESULTS = (BAD_INPUT, UNHEALTHY, *WANTED)  # what another start would find again, or nobody wants


class Verdict(NamedTuple):
    """How one start of all workers ended.

    Attributes:
      code: Exit code of it all; None if a worker was lost, so that all may be started again.
      why: A line for people; may be empty.
      blamed: Workers whose last lines tell why.
    """

    code: int | None
    why: str
    blamed: Sequence[Worker] = ()


def verdict(workers: Sequence[Worker], ended: Sequence[Worker], caught: Sequence[int]) -> Verdict:
    """How it ended, of all ``workers``, the chief first.

    A result of one goes before the death of another, which may come of it: libraries abort when a partner leaves.

    Args:
      ended: The same workers in the order in which they ended.
      caught: Signals that were handed on to them.
    """
    chief, own = workers[0], [worker for worker in ended if not worker.stopped]
    died = [worker for worker in own if has_died(worker, caught)]
    results = [worker for worker in own if worker.code in RESULTS]
    stops = [worker for worker in results if worker.code in WANTED]
    left = chief.code == LOST and not died and stops  # the chief by one that had nothing to save, as it began
    if (caught or stops) and chief in own and (chief in died or chief.code == LOST) and not left:
        return Verdict(1, f"{how((died or [chief])[0])}, before the last checkpoint was whole", died)
    if left:
        return Verdict(left[0].code, f"{how(left[0])}: the last checkpoint stands")
    if results:
        first, told = results[0], [worker for worker in results if worker.code in (BAD_INPUT, UNHEALTHY)]
        alone = [worker for worker in told if worker.code != chief.code]  # else the chief has told it
        return Verdict(first.code, how(first) if first in alone else "", alone)
    if chief.code == 0:
        late = [worker for worker in ended if worker.code]
        return Verdict(0, f"{how(late[0])}, but the chief was done: the run is complete" if late else "", died)
    if caught:
        return Verdict(128 + caught[0], "", died)
    silent = [worker for worker in ended if worker.stopped]
    if died or silent:
        return Verdict(None, how((died or silent)[0]), died or silent)
    return Verdict(None, "the workers have lost each other, and none of them died")


def has_died(worker: Worker, caught: Sequence[int]) -> bool:
    """Whether its end is none that a script of ours has, nor that by a signal which was handed on to it."""
    return worker.code not in (0, LOST, *RESULTS, *(-signum for signum in caught))


def how(worker: Worker) -> str:
    """How it ended, in words."""
    if worker.stopped:
        end = "did not end with the others"
    elif worker.code is not None and worker.code < 0:
        number = -worker.code
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        end = f"was killed by {name}{', as when memory runs out' if number == signal.SIGKILL else ''}"
    else:
        end = f"ended with exit code {worker.code}"
    return f"worker {worker.index} {end}"
