"""What an update would cost on many workers: the engine's own schedule of messages, replayed on recorded times.

  python scripts/benchmarks/scaling.py
  python scripts/benchmarks/scaling.py --record times.json --updates 1000   # on this machine, first
  python scripts/benchmarks/scaling.py --recorded times.json

No cluster is needed, and none was asked. Each worker's updates take times that were recorded of real ones (one core,
the processor's time, so that what else the machine did is not in them), drawn anew for each worker, so that all wait
for the slowest. The messages are those of engine/workers/collectives.py (its code is run with other links in the place
of the sockets); a message costs latency, bytes over bandwidth, and what ours was recorded to take of the processor.
Machines of 8 workers share one link to the others. Each worker has the workload's batch for itself.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

if not __package__:  # as a person types it, from anywhere
    sys.path[:1] = [str(folder) for folder in Path(__file__).resolve().parents[1:3]]

import cli
import numpy as np
import rules
from fields import option
from rules import Choice

from benchmarks import distributed, program
from benchmarks.processes import Failed
from benchmarks.workloads import WORKLOADS

NAME = "scaling"
RECORDED = Path(__file__).with_suffix(".json")
SMALL, LARGE = 1, 4_000_000  # float32 numbers of the two sums from which a message's and a byte's cost follow
PROOF = 8  # workers that are run as threads at each start, to see that the schedule is the code's


@dataclasses.dataclass(frozen=True)
class Options(program.Common):
    """Of this program."""

    record: Path | None = option(None, "record this machine's times there instead", Path)
    recorded: Path = option(RECORDED, "what was recorded (default: the file beside this one)", Path)
    workload: tuple[str, ...] = option(("vae", "convnet", "resnet18"), "", Choice(*WORKLOADS), nargs="+")
    workers: tuple[int, ...] = option((8, 64, 512, 4096), "powers of two", rules.power_of_two, nargs="+")
    updates: int = option(200, "updates to record of each workload, and to replay", rules.whole)
    latency: float = option(10.0, "of a link, microseconds", rules.positive)
    gigabits: float = option(100.0, "of a link a second, each way", rules.positive)
    machine: int = option(8, "workers of a machine", rules.power_of_two)
    call: float = option(0.5, "seconds of a call of the compiled loop", rules.positive)
    checkpoint: float = option(60.0, "seconds between checkpoints", rules.positive)


def recorded(chosen: Options) -> program.Result:
    """What this machine's updates and messages cost, each workload and each sum in processes of its own."""
    quick = chosen.quick
    found: program.Result = {"workloads": {}}
    for name in chosen.workload:
        updates = 3 if quick else max(20, chosen.updates // 10) if name == "resnet18" else chosen.updates
        point = {"workload": name, "updates": updates, "warm": 1 if quick else 10}
        found["workloads"][name] = program.run(NAME, point)
        program.say(f"{name}: {1000 * np.mean(found['workloads'][name]['processor_seconds']):.2f} ms an update")
    small, large = (distributed.started({"side": "ours", "workers": 2, "size": size, "times": times}, sys.executable)
                    for size, times in ((SMALL, 20 if quick else 2000), (LARGE, 3 if quick else 20)))
    message, whole = (1e-3 * min(line["ms"][0] for line in lines) for lines in (small, large))
    found["message"], found["byte"] = message, max(0.0, whole - 2 * message) / (4 * LARGE)
    return found


def proved(cost: Any, numbers: int) -> None:
    """Run the code's own sum in threads on simulated clocks. Raises ``Failed`` if the schedule says otherwise."""
    from concurrent.futures import ThreadPoolExecutor

    from benchmarks import schedule
    from engine.workers.collectives import Collectives

    boxes = schedule.boxes(PROOF)
    links: list[Any] = [schedule.Clocked(rank, PROOF, boxes, cost) for rank in range(PROOF)]
    with ThreadPoolExecutor(PROOF) as pool:
        sums = list(pool.map(lambda each: Collectives(each).sum(np.full(numbers, 1.0 + each.rank, "float32"), "sum"),
                             links))
    rounds = schedule.rounds_of_sum(PROOF, numbers)
    clocks = schedule.replayed(np.zeros(PROOF), schedule.steps(rounds, cost))
    right = all((each == PROOF * (PROOF + 1) / 2).all() for each in sums)
    if not right or not np.allclose([each.clock for each in links], clocks, rtol=1e-12):
        raise Failed("the schedule is not that of engine/workers/collectives.py: mend benchmarks/schedule.py")


def work(chosen: Options) -> tuple[program.Result, str]:
    from benchmarks import scaling_tables, schedule

    if chosen.record:
        found = recorded(chosen)
        chosen.record.write_text(json.dumps(found) + "\n")
        return found, str(chosen.record)
    found = json.loads(chosen.recorded.read_text())
    chosen = dataclasses.replace(chosen, updates=3) if chosen.quick else chosen
    bare = schedule.Cost(1e-6 * chosen.latency, 1e9 * chosen.gigabits / 8, chosen.machine)
    whole = dataclasses.replace(bare, message=found["message"], byte=found["byte"])
    for numbers in (3, 10_001):
        proved(whole, numbers)
    sums, updates, limits = [], [], []
    for count in chosen.workers:
        for name in chosen.workload:
            sums.append(scaling_tables.of_sum(found["workloads"][name], count, bare, whole))
            updates.append(scaling_tables.of_update(found["workloads"][name], count, whole, chosen))
        limits.append(scaling_tables.of_limits(found["workloads"], count, whole))
        program.say(f"{count} workers")
    text = scaling_tables.texts(sums, updates, limits, whole)
    return {"sums": sums, "updates": updates, "limits": limits}, text


def measured(point: program.Result) -> program.Result:
    """What one process does."""
    from benchmarks import scaling_points

    return scaling_points.measured(point)


if __name__ == "__main__":
    raise SystemExit(program.main(cli.Command(Options(), __doc__).parse(), work, measured))
