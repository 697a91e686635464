"""Train with several worker processes on this machine: start them, and start them again when one is lost.

  python scripts/launch.py --workers 2 -- python scripts/train_vae.py --run-dir runs/vae
  phaseloop launch --workers 4 -- phaseloop train-classifier --run-dir runs/x

What follows -- is the command, which every worker runs; TF_CONFIG tells each which of them it is. Worker 0, the chief,
has this terminal. Of the others, standard error is shown (its last 20 lines) if they end badly. Each gets its part of
the cores and, where there are GPUs, one of them (CUDA_VISIBLE_DEVICES chooses which; empty: none).

When a worker dies or does not answer, the others are ended and all are started again from the last checkpoint of
--run-dir. Without one a script begins anew, unless it keeps a folder of its own. A restart that reaches a new
checkpoint is not counted.

Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 and SIGQUIT are handed on to all workers, which save and end; nothing is started
again then. A second signal ends them at once. When the launcher is killed, they save and end too (on Linux).

Exit codes: that of the workers, as 2 for bad input, 3 from the health watch, 130 after Ctrl-C; 1 when the restarts are
used up.
"""

import contextlib
import dataclasses
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import cli
import early
import fields
import supervisor
import worker_environment
from fields import option
from rules import natural, positive, whole
from verdicts import Verdict
from worker_process import Worker


@dataclasses.dataclass(frozen=True)
class Options:
    """Of this script."""

    workers: int = option(fields.REQUIRED, "worker processes", whole)
    threads_per_worker: int | None = option(
        None, "threads of each, for TensorFlow and NumPy (default: an equal part of the cores; what the environment "
        "says in " + ", ".join(worker_environment.THREADS) + " stays)", whole)
    restarts: int = option(3, "times in a row that all are started again without a new checkpoint", natural)
    patience: float = option(120.0, "seconds for which the others are waited for when a worker is done", positive)
    grace: float = option(5.0, "seconds in which the others may end by themselves when a worker is lost, or has ended "
                          "otherwise", positive)


class Parser(cli.Parser):
    """Says of what it does not know that it may belong to the command."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: "):
            cli.refuse(f"`{message.split()[2]}` must be an option of launch.py, or stand after -- as part of the "
                       "command (see --help)")
        super().error(message)


def parse(words: Sequence[str]) -> tuple[Options, list[str]]:
    """The options, and the command that follows --. Ends with exit code 2 for a bad one."""
    at = words.index("--") if "--" in words else len(words)
    parser = Parser(usage="launch.py --workers N [OPTIONS] -- COMMAND")
    chosen, command = cli.Command(Options(), __doc__, parser=parser).parse(words[:at]), list(words[at + 1:])
    if not command:
        cli.refuse("`COMMAND` must be given, after -- (see --help)")
    if not shutil.which(command[0]):
        cli.refuse(f"`COMMAND` ({cli.printable(command[0])}) must be a program that can be run")
    if os.environ.get("TF_CONFIG", "").strip():
        cli.refuse(f"`TF_CONFIG` ({os.environ['TF_CONFIG']}) must be unset: it is of a cluster, which starts the "
                   "workers itself")
    return chosen, command


def run_dir_of(command: Sequence[str]) -> Path | None:
    """The folder that a command names by --run-dir."""
    found = None
    for word, following in zip(command, [*command[1:], ""], strict=True):
        name, sign, value = word.partition("=")
        if name == "--run-dir" and (value if sign else following):
            found = Path(value if sign else following)
    return found


def newest(run_dir: Path | None) -> int:
    """The cycle of its newest checkpoint; -1 if there is none."""
    with contextlib.suppress(OSError):
        names = [path.name.partition(".")[0] for path in (run_dir / "checkpoints").iterdir()] if run_dir else []
        return max((int(name) for name in names if name.isdecimal()), default=-1)
    return -1


def main(chosen: Options, command: Sequence[str]) -> int:
    cards = worker_environment.cards(os.environ)
    if 0 < len(cards) < chosen.workers:
        cli.refuse(f"`--workers` ({chosen.workers}) must be at most {len(cards)}, the number of GPUs (with "
                   f"{worker_environment.CARDS} set to nothing, CPUs train)")
    run_dir = run_dir_of(command)
    again = ("all are started again" if run_dir else "all are started again, and what keeps no folder begins anew, as "
             "the command names no --run-dir")
    with supervisor.collected() as caught:
        return supervisor.supervise(lambda: _started(chosen, command, cards, caught), chosen.restarts,
                                    lambda: newest(run_dir), caught, again)


def _started(chosen: Options, command: Sequence[str], cards: Sequence[str], caught: Sequence[int]) -> Verdict:
    """All workers, from their start to their end."""
    workers: list[Worker] = []
    group = supervisor.Group(workers, chosen.patience, chosen.grace, caught)
    with worker_environment.free_ports(chosen.workers) as ports:
        told = worker_environment.of_workers(os.environ, ports, chosen.threads_per_worker, cards)
        try:
            for index, environment in enumerate(told):
                if not caught:  # a signal before all are there
                    workers.append(Worker(index, command, environment))
        except OSError as error:
            group.stop()
            if workers:
                group.wait()
            return Verdict(2, f"error: `COMMAND` ({command[0]}) must be a program that can be run: {error.strerror}")
        return group.wait() if workers else Verdict(128 + caught[0], "")


if __name__ == "__main__":
    early.install()
    raise SystemExit(main(*parse(sys.argv[1:])))
