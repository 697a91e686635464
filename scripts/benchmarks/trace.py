"""What TensorFlow's profiler saw on the GPU while cycles ran: kernels, transfers, and the time that it was busy."""

import glob
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

TRANSFERS = {"MemcpyH2D": "to the GPU", "MemcpyD2H": "from the GPU"}
TOP = 12  # kernels that are named


def profile(run: Callable[[int], int], cycles: int) -> dict[str, Any]:
    """``run(cycles)``, which is one call of a compiled loop, under the profiler.

    Returns:
      The ``summary`` of the GPU's part of the trace, per cycle, with "cycles" and "traced_seconds".
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder, tf.profiler.experimental.ProfilerOptions(
            host_tracer_level=0, python_tracer_level=0, device_tracer_level=1))
        began = time.perf_counter()
        done = run(cycles)
        seconds = time.perf_counter() - began
        tf.profiler.experimental.stop()
        files = glob.glob(f"{folder}/plugins/profile/*/*.xplane.pb")
        found = [event for file in files for event in events(Path(file).read_bytes())]
    return {"cycles": done, "traced_seconds": seconds, **summary(found, done)}


def events(data: bytes) -> Iterable[tuple[str, int, int]]:
    """(name, begin, end), in picoseconds, of everything on a GPU's streams in a serialized XSpace."""
    from engine.reporting import xspace

    return ((each.kernel, each.begin, each.end) for each in xspace.operations(xspace.read(data)) if each.kernel)


def summary(found: Iterable[tuple[str, int, int]], cycles: int) -> dict[str, Any]:
    """Kernels per cycle, transfers per call, seconds that the GPU was busy per cycle, and what took most of them.

    Args:
      found: (name, begin, end), in picoseconds, of one call that ran ``cycles`` cycles.
    """
    rows = sorted(found, key=lambda row: row[1])
    times: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    for name, begin, end in rows:
        times[name] += 1
        spent[name] += end - begin
    kernels = sum(count for name, count in times.items() if not name.startswith(("Memcpy", "Memset")))
    transfers = {way: times[name] for name, way in TRANSFERS.items() if times[name]}
    busy, until = 0, 0
    for _, begin, end in rows:
        busy += max(0, end - max(begin, until))
        until = max(until, end)
    span = until - rows[0][1] if rows else 0
    return {"kernels_per_cycle": kernels / cycles, "transfers_per_call": transfers,
            "busy_seconds_per_cycle": busy * 1e-12 / cycles, "span_seconds": span * 1e-12,
            "top": [{"name": name[:100], "seconds_per_cycle": picoseconds * 1e-12 / cycles,
                     "times_per_cycle": times[name] / cycles}
                    for name, picoseconds in spent.most_common(TOP)]}
