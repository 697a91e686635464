"""Stop at every cycle, continue in a new process: the same bits as never stopped.

  python -m tests.faults.resume            eight workloads, graph and xla, 60 stops each: about two hours

Each of the 60 processes of a chain continues the run, trains one cycle and is sent SIGTERM. After each stop the
SHA-256 over all variables is that of the uninterrupted run at that cycle, and at the end that of metrics.csv is too.
"""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from tests.faults import workloads


def whole(name, plan, folder, hashes):
    """The run that is never stopped; writes its state's hash at each cycle, and its table's."""
    found = []
    note = workloads.each_cycle(lambda trainer: found.append(workloads.state_hash(trainer)))
    trainer = workloads.make(name, plan, folder, note)
    assert workloads.train(trainer)
    found[workloads.CYCLES - 1:] = [workloads.state_hash(trainer)]  # at_end is off: the last cycle's is taken here
    Path(hashes).write_text("\n".join([*found, workloads.table_hash(folder)]))


def link(name, plan, folder, cycle, out):
    """One process: from where the run stands to ``cycle``, and there a SIGTERM; at the last cycle the end."""
    stop = workloads.each_cycle(
        lambda trainer: trainer.counters.cycles >= cycle and os.kill(os.getpid(), signal.SIGTERM))
    trainer = workloads.make(name, plan, folder, *[stop] * (cycle < workloads.CYCLES))
    finished = workloads.train(trainer)
    assert finished == (cycle == workloads.CYCLES) and trainer.counters.cycles == cycle
    Path(out).write_text(workloads.state_hash(trainer))


def chain(name, plan, stops):
    """Of ``stops``, the cycles to stop at, how many gave the bits of the uninterrupted run."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        assert workloads.wait(workloads.fork(whole, name, plan, folder / "whole", folder / "hashes")) == 0
        *hashes, table = (folder / "hashes").read_text().split("\n")
        good = 0
        for cycle in stops:
            code = workloads.wait(workloads.fork(link, name, plan, folder / "parts", cycle, folder / "out"))
            same = code == 0 and (folder / "out").read_text() == hashes[cycle - 1]
            good += same
            if not same:
                print(f"{name} {plan}: cycle {cycle} differs (exit code {code})", file=sys.stderr)
        if stops[-1] == workloads.CYCLES and workloads.table_hash(folder / "parts") != table:
            print(f"{name} {plan}: metrics.csv differs", file=sys.stderr)
            return 0
        return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", nargs="+", choices=list(workloads.MAKERS), default=list(workloads.MAKERS))
    parser.add_argument("--plan", nargs="+", choices=("graph", "xla"), default=["graph", "xla"])
    chosen, every, lost = parser.parse_args(), range(1, workloads.CYCLES + 1), 0
    for plan in chosen.plan:
        for name in chosen.workload:
            good = chain(name, plan, every)
            lost += len(every) - good
            print(f"{name:20}{plan:7}{good}/{len(every)} stops continued to the same bits", flush=True)
    return int(lost > 0)


if __name__ == "__main__":
    raise SystemExit(main())
