"""The best of a contestant's settings, by timing each in a process of its own."""

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

Settings = dict[str, Any]


def fixed(candidates: Sequence[Settings], threads: int | None) -> list[Settings]:
    """The candidates at this number of threads, each once; None leaves them as they are."""
    found: list[Settings] = []
    for settings in candidates:
        settings = settings if threads is None else {**settings, "threads": threads}
        found += [] if settings in found else [settings]
    return found


def best(name: str, candidates: Sequence[Settings], command: Sequence[str], limit: float) -> dict[str, Any]:
    """The line of the fastest candidate, with what was "tried".

    A single candidate is not timed, unless it leaves something to be found ("auto").

    Args:
      name: Name for people.
      command: Command that times one candidate, whose ``--settings`` are appended, and prints its line of JSON last.
      limit: Seconds for one candidate.

    Raises:
      SystemExit: If none could be timed.
    """
    tried: list[dict[str, Any]] = []
    if len(candidates) == 1 and "auto" not in candidates[0].values():
        return {"settings": candidates[0], "tried": tried}
    fastest: dict[str, Any] = {"cycles_per_second": -math.inf}
    for settings in candidates:
        result = _timed([*command, "--settings", json.dumps(settings)], limit)
        left_out = result.get("left_out")
        said = f"left out: {left_out}" if left_out else f"{result['cycles_per_second']:.4g} cycles/s"
        print(f"    {name} {json.dumps(settings)}: {said}", file=sys.stderr, flush=True)
        key = "left_out" if left_out else "cycles_per_second"
        tried.append({"settings": settings, key: result[key]})
        if not left_out and result["cycles_per_second"] > fastest["cycles_per_second"]:
            fastest = result
    if "settings" not in fastest:
        raise SystemExit(f"error: no candidate of {name} could be timed")
    return {**fastest, "tried": tried}


def _timed(command: list[str], limit: float) -> dict[str, Any]:
    """A candidate's line, or {"left_out": why}."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=limit)
        return json.loads(ended.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"left_out": f"not done in {limit:.0f} s"}
    except (IndexError, ValueError):
        return {"left_out": (ended.stderr.strip().splitlines() or ["no output"])[-1][:200]}
