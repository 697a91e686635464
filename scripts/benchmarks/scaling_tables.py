"""The numbers and tables of scaling.py: a sum, an update, and what has a limit."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import program
from benchmarks.schedule import (
    Cost,
    all_pairs,
    hierarchical,
    noted,
    of_worker,
    played,
    replayed,
    ring,
    rounds_of_sum,
    steps,
    tree,
)

SEED = 0
CLOCKS = 3  # times that a call of the loop asks for the chief's clock: engine/run/session.py
TOLD = 24  # bytes of an answer of the chief, about
DESCRIPTORS = 1024  # files and sockets that a process may have open, as systems have it
ASKED = 16  # of the workers, whose messages are asked of the code itself


def _numbers(each: Mapping[str, Any], recorded: Mapping[str, Any], count: int) -> int:
    """Of one sum: batch statistics are a row for each worker."""
    return each["numbers"] * count // recorded["as"] if each in recorded["statistics"] else each["numbers"]


def of_sum(recorded: Mapping[str, Any], count: int, bare: Cost, whole: Cost) -> program.Result:
    """Seconds of the sum of gradients, by each way; the engine's code is asked for the messages of some workers."""
    (each,) = recorded["sums"]
    rounds = rounds_of_sum(count, each["numbers"])
    data = np.ones(each["numbers"], "float32")
    for rank in sorted({*range(min(count, ASKED // 2)), *range(max(0, count - ASKED // 2), count)}):
        if noted(lambda links: links.sum(data, "sum"), rank, count) != of_worker(rounds, rank):
            raise AssertionError(f"the schedule of worker {rank} of {count} is another")
    scattered = dataclasses.replace(bare, scattered=max(1, count // bare.machine))
    size = 4 * each["numbers"]
    return {"workload": recorded["workload"], "workers": count, "bytes": size, "messages": len(rounds),
            "ring": ring(count, size, bare), "tree": tree(count, size, bare),
            "hierarchical": hierarchical(count, size, bare),
            **{name: float(replayed(np.zeros(count), steps(rounds, cost)).max())
               for name, cost in (("ours", bare), ("scattered", scattered), ("with_program", whole))}}


def per_call(count: int, cost: Cost) -> float:
    """Seconds of what all do once per call: the chief's clock, and whether anybody caught a signal."""
    asked = [noted(lambda links: links.broadcast(bytes(TOLD if links.rank == 0 else 0), "clock"), rank, count, TOLD)
             for rank in range(count)]
    signal = rounds_of_sum(count, 1, 8)
    return CLOCKS * max(played(asked, cost)) + float(replayed(np.zeros(count), steps(signal, cost)).max())


def of_update(recorded: Mapping[str, Any], count: int, cost: Cost, chosen: Any) -> program.Result:
    """Means per update, seconds: of computing, of waiting for the slowest, of each kind of message."""
    times, draw = np.array(recorded["processor_seconds"]), np.random.default_rng(SEED)
    kinds = {kind: [step for each in recorded[kind] for step in steps(
        rounds_of_sum(count, _numbers(each, recorded, count)), cost)] for kind in ("statistics", "sums")}
    alone = {kind: float(replayed(np.zeros(count), each).max()) for kind, each in kinds.items()}
    clocks = np.zeros(count)
    for _ in range(chosen.updates):
        clocks = clocks + draw.choice(times, count)
        for each in kinds.values():
            clocks = replayed(clocks, each)
    compute, update = float(times.mean()), float(clocks.max()) / chosen.updates
    calls = per_call(count, cost) / max(1.0, chosen.call / update)
    waiting = max(0.0, update - compute - sum(alone.values()))
    stops = recorded["digest_seconds"] + recorded["copy_seconds"] + gathered(count, cost)
    saved = stops / chosen.checkpoint * (update + calls)
    return {"workload": recorded["workload"], "workers": count, "compute": compute, "waiting": waiting, **alone,
            "calls": calls, "checkpoint": saved, "whole": update + calls + saved,
            "efficiency": compute / (update + calls + saved),
            "disk": count * recorded["batch_bytes"] / (update + calls + saved), "batch": count * recorded["batch"]}


def gathered(count: int, cost: Cost, size: int = 34) -> float:
    """Seconds in which each has what each other one says, as digests: doubling."""
    return sum(cost.lone(size * 2**level) for level in range(int(count).bit_length() - 1))


def of_limits(workloads: Mapping[str, Any], count: int, cost: Cost) -> program.Result:
    """What grows with the workers, and what it was as all spoke to all."""
    state = max(each["state_bytes"] for each in workloads.values())
    levels = int(count).bit_length() - 1
    return {"workers": count, "sockets": 2 * levels, "sockets_to_all": count - 1 + (count - 1),
            "calls": per_call(count, cost), "calls_to_all": per_call(count, cost) + all_pairs(count) * cost.lone(8),
            "start": levels * cost.lone(state)}


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3g}" if seconds < 1 else f"{1000 * seconds:.0f}"


def texts(sums: Sequence[program.Result], updates: Sequence[program.Result], limits: Sequence[program.Result],
          cost: Cost) -> str:
    """Three tables."""
    head = ["workload", "workers", "MB", "messages", "ring, ms", "tree", "hierarchical", "ours",
            "ours, ranks scattered", "ours with its program"]
    first = [[row["workload"], str(row["workers"]), f"{row['bytes'] / 1e6:.2f}", str(row["messages"]),
              *(_ms(row[name]) for name in ("ring", "tree", "hierarchical", "ours", "scattered", "with_program"))]
             for row in sorted(sums, key=lambda row: row["bytes"])]
    names = ("compute", "waiting", "sums", "statistics", "calls", "checkpoint", "whole")
    order = [row["workload"] for row in sorted(sums, key=lambda row: row["bytes"])]
    second = [[row["workload"], str(row["workers"]), *(_ms(row[name]) for name in names), f"{row['efficiency']:.2f}",
               f"{row['batch']:,}", f"{row['disk'] / 1e9:.2f}"]
              for row in sorted(updates, key=lambda row: order.index(row["workload"]))]
    third = [[str(row["workers"]), str(row["sockets"]), f"{row['sockets_to_all']}{_over(row['sockets_to_all'])}",
              _ms(row["calls"]), _ms(row["calls_to_all"]), _ms(row["start"])] for row in limits]
    return "\n\n".join([
        "One sum of gradients:", program.columns(head, first),
        f"An update, ms (a message of ours takes {1e6 * cost.message:.0f} us of the processor, a byte "
        f"{1e9 * cost.byte:.2f} ns):",
        program.columns(["workload", "workers", "compute", "waiting", "gradients", "statistics", "calls", "checkpoint",
                         "whole", "efficiency", "batch of all", "one disk for all, GB/s"], second),
        "What grows with the workers, and what it would be if all spoke to all:",
        program.columns(["workers", "sockets of each", "to all", "a call's messages, ms", "to all", "state at the "
                         "start, ms"], third)])


def _over(sockets: int) -> str:
    return " !" if sockets > DESCRIPTORS else ""
