"""Several workers on this machine, one core each: ours beside PyTorch's DistributedDataParallel, and the sum alone.

  python scripts/benchmarks/distributed.py --torch-python /path/to/python
  python scripts/benchmarks/distributed.py --workload vae --rounds 5

Alone: one worker with the workload's batch on one core. Apart: two such at once that know nothing of each other, which
is all that the machine gives. Weak: two, each with as many examples. Strong: two that share the batch. In brackets
stands how many times the examples per second of one worker that is. Ours trains with all that a run has (health watch,
logs, checkpoints); "exact" is with --reproducible 2. PyTorch takes the faster of compiled and not, chosen at one
worker. The sides take turns. Below, one sum over two workers in milliseconds, of the processor's time and of the clock.
"""

import dataclasses
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if not __package__:  # as a person types it, from anywhere
    sys.path[:1] = [str(folder) for folder in Path(__file__).resolve().parents[1:3]]

import cli
import rules
from fields import option
from rules import Choice

from benchmarks import program
from benchmarks.processes import Failed
from benchmarks.workloads import WORKLOADS

SIZES = (210_000, 425_000, 4_000_000)  # float32 numbers of one sum: 0.84, 1.7 and 16 MB
WARM = 2.0  # seconds
LIMIT = 900.0  # seconds for one start of all workers


@dataclasses.dataclass(frozen=True)
class Options(program.Common):
    """Of this program."""

    workload: tuple[str, ...] = option(("convnet", "vae"), "", Choice(*WORKLOADS), nargs="+")
    torch_python: str = option(sys.executable, "another Python for the PyTorch peer (default: this one)",
                               metavar="PYTHON")
    rounds: int = option(3, "turns of each", rules.whole)
    seconds: float = option(6.0, "of timing in a turn", rules.positive)


def started(point: program.Result, python: str) -> list[program.Result]:
    """The lines of all workers of one start, each on a core of its own."""
    processes = max(point["workers"], point.get("apart", 1))
    with Ports(processes) as ports:
        points = [{**point, "rank": rank, "ports": ports} for rank in range(processes)]
    running = [subprocess.Popen([python, __file__, "--point", json.dumps(each)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env={**os.environ, **program.QUIET})
               for each in points]
    lines = []
    for each in running:
        try:
            output, errors = each.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            for other in running:
                other.kill()
            raise Failed(f"{point} took more than {LIMIT:.0f} s") from None
        if each.returncode:
            for other in running:
                other.kill()
            raise Failed(f"{point} ended with {each.returncode}: {' '.join(errors.strip().splitlines()[-1:])[:300]}")
        lines.append(json.loads(output.strip().splitlines()[-1]))
    return lines


class Ports:
    """Free ports of this machine, held until the workers are about to start."""

    def __init__(self, count: int) -> None:
        self._sockets = [socket.socket() for _ in range(count)]

    def __enter__(self) -> list[int]:
        for each in self._sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in self._sockets]

    def __exit__(self, *error: object) -> None:
        for each in self._sockets:
            each.close()


def measured(point: program.Result) -> program.Result:
    """What one worker does."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[point["rank"] % len(cores)]})
    side = {"ours": _ours, "exact": _ours, "torch": _torch}[point["side"]]
    return side(point)


def timed(run: Callable[[int], object], seconds: float, agreed: Callable[[float], float]) -> float:
    """Cycles per second, the median of five; ``agreed`` gives the first worker's number to all."""
    run(2)
    began, count = time.perf_counter(), 1
    while True:
        before = time.perf_counter()
        run(count)
        spent = agreed(time.perf_counter() - before)
        if agreed(time.perf_counter() - began) > WARM and spent > 0.2:
            break
        count = max(1, min(4 * count, round(count * 0.4 / spent)))
    chunk = max(1, round(count * seconds / 5 / spent))
    rates = []
    for _ in range(5):
        before = time.perf_counter()
        run(chunk)
        rates.append(chunk / (time.perf_counter() - before))
    return statistics.median(rates)


def _ours(point: program.Result) -> program.Result:
    if point["workers"] > 1:
        hosts = [f"127.0.0.1:{port}" for port in point["ports"]]
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": hosts},
                                              "task": {"type": "worker", "index": point["rank"]}})
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    from engine.workers.workers import workers

    here = workers()
    if "size" in point:
        values = here_values(point["size"])
        return {"ms": milliseconds(lambda: here.added(values, "sum"), point["times"])}
    from benchmarks import inputs, ours

    workload = dataclasses.replace(WORKLOADS[point["workload"]], batch_size=point["batch"])
    exact = {"reproducible": point["workers"]} if point["side"] == "exact" else {}
    loop = ours.make(workload, inputs.made(workload), {"plan": point["plan"], "threads": None, **exact})
    begun = getattr(here, "sums", 0), getattr(here, "bytes_sent", 0)
    done = 0

    def run(cycles: int) -> None:
        nonlocal done
        done += loop.run(cycles)

    rate = timed(run, point["seconds"], lambda number: float(here.from_chief(number, "time")))
    ended = getattr(here, "sums", 0), getattr(here, "bytes_sent", 0)
    return {"rate": rate * (1.0 - loop.rare()), "sums": (ended[0] - begun[0]) / done,
            "bytes": (ended[1] - begun[1]) / done}


def _torch(point: program.Result) -> program.Result:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    rank = point["rank"] if point["workers"] > 1 else 0
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(point["ports"][point["rank"] - rank])}
    dist.init_process_group("gloo", rank=rank, world_size=point["workers"])
    try:
        if "size" in point:
            values = torch.from_numpy(here_values(point["size"]))
            return {"ms": milliseconds(lambda: dist.all_reduce(values), point["times"])}
        return {"rate": timed(_torch_run(point), point["seconds"], _agreed)}
    finally:
        dist.destroy_process_group()


def _torch_run(point: program.Result) -> Callable[[int], None]:
    """As PyTorch's manual has it: a module whose forward gives the loss, in DistributedDataParallel."""
    import torch
    from torch.nn.parallel import DistributedDataParallel

    from benchmarks import torch_losses, torch_nets
    from benchmarks.workloads import ADAM_EPSILON, draw_shapes, reads

    workload = dataclasses.replace(WORKLOADS[point["workload"]], batch_size=point["batch"] // point["workers"])
    torch.set_flush_denormal(True)
    nets = torch_nets.make_nets(workload, not workload.small)
    (phase,) = workload.repeats
    function = torch_losses.LOSSES[workload.loss][phase]

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nets = torch.nn.ModuleDict(nets)

        def forward(self, batch: Any, draws: Any) -> Any:
            return sum(function(self.nets, False, batch, **draws).values())

    module: Any = Whole()
    if point["workers"] > 1:
        module = DistributedDataParallel(module)
    step = torch.compile(module) if point["compile"] else module
    optimizer = torch.optim.Adam(module.parameters(), workload.learning_rate, workload.betas, ADAM_EPSILON, fused=True)
    arrays = {name: np_load(point["data"], each.file) for name, each in workload.inputs.items()}
    data = {name: torch.from_numpy(array if array.ndim < 4 else array.transpose(0, 3, 1, 2)).contiguous(
        **({"memory_format": torch.channels_last} if array.ndim == 4 and not workload.small else {}))
        for name, array in arrays.items()}
    size = len(next(iter(data.values())))

    def run(cycles: int) -> None:
        for _ in range(cycles):
            chosen = torch.randint(size, (workload.batch_size,))
            batch = {name: each[chosen] for name, each in data.items()} if reads(phase) else None
            draws = {name: torch.randn(shape) for name, shape in draw_shapes(workload, phase).items()}
            optimizer.zero_grad(set_to_none=True)
            step(batch, draws).backward()
            optimizer.step()

    return run


def _agreed(number: float) -> float:
    import torch
    import torch.distributed as dist

    held = torch.tensor([number], dtype=torch.float64)
    dist.broadcast(held, 0)
    return float(held)


def np_load(folder: str, file: str) -> Any:
    """One of the inputs' files."""
    import numpy as np

    return np.load(Path(folder) / file)


def here_values(size: int) -> Any:
    """So many numbers."""
    import numpy as np

    return np.random.default_rng(0).normal(size=size).astype("float32")


def milliseconds(act: Callable[[], object], times: int) -> list[float]:
    """Of one act: the processor's time, and the clock's."""
    for _ in range(5):
        act()
    clock, processor = time.perf_counter(), time.process_time()
    for _ in range(times):
        act()
    return [1000 * (time.process_time() - processor) / times, 1000 * (time.perf_counter() - clock) / times]


WAYS = {"alone": (1, 1), "apart": (1, 1), "weak": (2, 2), "strong": (2, 1)}  # workers, and batches that they share


def work(chosen: Options) -> tuple[program.Result, str]:
    from benchmarks import inputs

    rounds, seconds = (1, 0.3) if chosen.quick else (chosen.rounds, chosen.seconds)
    found: list[program.Result] = []
    with tempfile.TemporaryDirectory() as folder:
        inputs.prepare(Path(folder), chosen.workload)
        for name in chosen.workload:
            plan = "xla" if WORKLOADS[name].small else "graph"
            shared = {"workload": name, "plan": plan, "seconds": seconds, "data": folder, "compile": False}
            compiled = {**shared, "side": "torch", "workers": 1, "batch": WORKLOADS[name].batch_size}
            speeds = [started({**compiled, "compile": each}, chosen.torch_python)[0]["rate"] for each in (False, True)]
            shared["compile"] = speeds[1] > speeds[0]
            for number in range(rounds):
                for side in ("ours", "exact", "torch")[::-1 if number % 2 else 1]:
                    for way, (count, batches) in WAYS.items():
                        if side == "exact" and count == 1:
                            continue
                        batch = batches * WORKLOADS[name].batch_size
                        point = {**shared, "side": side, "workers": count, "batch": batch,
                                 "apart": 2 if way == "apart" else 1}
                        lines = started(point, chosen.torch_python if side == "torch" else sys.executable)
                        speed = batch * sum(line["rate"] for line in (lines if way == "apart" else lines[:1]))
                        found.append({"workload": name, "side": side, "way": way, "compile": shared["compile"],
                                      **lines[0], "examples": speed})
                        program.say(f"{name} {side} {way}: {speed:,.0f} examples/s")
        sums = [{"side": side, "size": size, "ms": started(
            {"side": side, "workers": 2, "size": size, "times": 20 if chosen.quick else 200},
            chosen.torch_python if side == "torch" else sys.executable)[0]["ms"]}
            for _ in range(rounds) for size in SIZES for side in ("ours", "torch")]
    return {"rows": found, "sums": sums}, table(found, sums)


def table(found: list[program.Result], sums: list[program.Result]) -> str:
    """Examples per second and efficiency; then the sum alone."""
    rows = [_row(found, workload, side) for workload in dict.fromkeys(row["workload"] for row in found)
            for side in ("ours", "exact", "torch")]
    over = [_of_sums([row for row in sums if row["size"] == size])
            for size in dict.fromkeys(row["size"] for row in sums)]
    return "\n\n".join([
        program.columns(["workload", "side", *(f"{way}, examples/s" if way == "alone" else way for way in WAYS),
                         "weak of apart", "sums/update", "bytes/update"], rows),
        program.columns(["MB", "ours, CPU ms", "gloo, CPU ms", "ours, ms", "gloo, ms", "ratio"], over)])


def _row(found: list[program.Result], workload: str, side: str) -> list[str]:
    def of(side: str, way: str) -> list[program.Result]:
        return [row for row in found if (row["workload"], row["side"], row["way"]) == (workload, side, way)]

    by_itself = "ours" if side == "exact" else side
    speeds = {way: statistics.median(row["examples"] for row in of(by_itself if WAYS[way][0] == 1 else side, way))
              for way in WAYS}
    line = of(side, "weak")[0]
    counted = (f"{line['sums']:.2f}", f"{line['bytes']:,.0f}") if "sums" in line else ("", "")
    return [workload, side, f"{speeds['alone']:,.0f}",
            *(f"{speeds[way]:,.0f} ({speeds[way] / speeds['alone']:.2f})" for way in WAYS if way != "alone"),
            f"{speeds['weak'] / speeds['apart']:.2f}", *counted]


def _of_sums(rows: list[program.Result]) -> list[str]:
    """Of one size."""
    times = {side: [statistics.median(row["ms"][place] for row in rows if row["side"] == side) for place in (0, 1)]
             for side in ("ours", "torch")}
    return [f"{4 * rows[0]['size'] / 1e6:.2f}", *(f"{times[side][place]:.2f}" for place in (0, 1) for side in times),
            f"{times['ours'][1] / times['torch'][1]:.2f}"]


if __name__ == "__main__":
    raise SystemExit(program.main(cli.Command(Options(), __doc__).parse(), work, measured))
