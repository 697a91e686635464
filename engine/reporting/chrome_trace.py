"""A profile as Chrome's trace format, which Perfetto opens (ui.perfetto.dev), and chrome://tracing."""

import gzip
import json
from collections.abc import Iterable
from typing import Any

from engine.reporting.operations import Places
from engine.reporting.xspace import Operation


def chrome_trace(operations: Iterable[Operation], places: Places) -> bytes:
    """The file ``trace.json.gz``: a track per thread or stream, an operation by layer and kind, coloured by phase."""
    found = sorted(operations, key=lambda each: each.begin)
    tracks = {name: number for number, name in enumerate(dict.fromkeys(each.where for each in found), start=1)}
    start = found[0].begin if found else 0
    events: list[dict[str, Any]] = [{"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "phaseloop"}}]
    events += [{"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": name}}
               for name, number in tracks.items()]
    for each in found:
        place = places.of(each)
        told = {"phase": place.phase, "layer": place.layer, "name": each.name, "kernel": each.kernel}
        events.append({"ph": "X", "pid": 1, "tid": tracks[each.where], "ts": (each.begin - start) / 1e6,
                       "dur": (each.end - each.begin) / 1e6, "cat": place.phase or "around",
                       "name": " ".join(word for word in place if word),
                       "args": {name: text for name, text in told.items() if text}})
    return gzip.compress(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}).encode(), mtime=0)
