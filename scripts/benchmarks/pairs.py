"""Pairs of timings, back to back, their ratios, and the table."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import program
from benchmarks.ceiling import fraction
from benchmarks.trial import Settings

Result = Mapping[str, Any]  # a contestant's JSON line


class Clock:
    """Says how far the benchmark is, and about how long it still takes.

    Args:
      total: Processes to run. now: Seconds, rising. say: Function that takes lines for people.
    """

    def __init__(self, total: int, now: Callable[[], float] = time.monotonic,
                 say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True)) -> None:
        self._total, self._now, self.say, self._done, self._began = total, now, say, 0, now()

    def tell(self, text: str, processes: int = 2) -> None:
        """After ``processes`` more of them."""
        self._done += processes
        left = (self._now() - self._began) / self._done * max(self._total - self._done, 0)
        self.say(f"[{self._done}/{self._total}] {text}; about {left / 60:.0f} min left")


def run_rounds(timers: Mapping[str, Callable[[], Result]], count: int, told: Callable[[int, dict[str, float]], None]
               ) -> dict[str, list[dict[str, Any]]]:
    """``count`` pairs of ours with each peer. Returns {peer: pairs}.

    A round times ours once, between the peers, so that each pair is nearly back to back; every other round runs
    backwards, so that a drift favours nobody.

    Args:
      timers: "ours" and each peer -> runs it in a fresh process.
      told: Function that takes the number of a round and everybody's cycles per second.
    """
    peers = [name for name in timers if name != "ours"]
    middle = (len(peers) + 1) // 2
    order = [*peers[:middle], "ours", *peers[middle:]]
    pairs: dict[str, list[dict[str, Any]]] = {peer: [] for peer in peers}
    for number in range(count):
        results = {name: timers[name]() for name in (order[::-1] if number % 2 else order)}
        rates = {name: results[name]["cycles_per_second"] for name in order}
        for peer in peers:
            pairs[peer].append({"ours": results["ours"], "peer": results[peer], "ratio": rates["ours"] / rates[peer]})
        told(number + 1, rates)
    return pairs


def summary(workload: str, precision: str, peer: str, settings: Settings, pairs: Sequence[Mapping[str, Any]],
            ceiling: float | None = None) -> dict[str, Any]:
    """One row of the table: medians over the pairs, and the pairs themselves.

    Args:
      ceiling: GFLOP/s of the machine's matrix product in this precision, if it was measured.
    """
    def middle(side: str, name: str) -> float:
        return statistics.median(pair[side][name] for pair in pairs)

    first = pairs[0]["ours"]
    row: dict[str, Any] = {"workload": workload, "precision": precision, "peer": peer, "settings": settings,
                           "our_settings": first["settings"], "fraction_of_ceiling": None,
                           "ratio": program.spread([pair["ratio"] for pair in pairs])}
    for side in ("ours", "peer"):
        row[f"{side}_metrics"] = {name: middle(side, name) for name in
                                  ("cycles_per_second", "setup_seconds", "peak_memory_bytes")}
    if ceiling and "multiply_adds" in first:
        speeds = {side: row[f"{side}_metrics"]["cycles_per_second"] for side in ("ours", "peer")}
        row["fraction_of_ceiling"] = {side: fraction(first["multiply_adds"], speed, ceiling)
                                      for side, speed in speeds.items()}
    return {**row, "pairs": list(pairs)}


def words(settings: Settings) -> str:
    """Settings for people: ``jit=no steps=32``; what is left to the framework is not named."""
    shown = {True: "yes", False: "no"}
    return " ".join(f"{name}={shown.get(value, value) if isinstance(value, bool) else value}"
                    for name, value in settings.items() if value is not None)


def _first(row: Mapping[str, Any]) -> str:
    # torch.compile keeps what it compiled on disk: its first set-up, in the trial, took longer than those of the pairs.
    first = (row.get("trial") or {}).get("setup_seconds", 0.0)
    return f" (first {first:.0f})" if first > 2 * row["peer_metrics"]["setup_seconds"] else ""


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as text, in columns."""
    head = ["workload", "precision", "our settings", "peer", "its settings", "ours, cycles/s", "peer, cycles/s",
            "ours : peer (min..max)", "of the ceiling, % (ours : peer)", "set-up, s (ours : peer)",
            "peak memory, MiB (ours : peer)"]
    return program.columns(head, [_line(row, len(head)) for row in rows])


def _line(row: Mapping[str, Any], columns: int) -> list[str]:
    first = [row["workload"], row["precision"]]
    if "missing" in row:
        return [*first, "-", row["peer"], row["missing"], *["-"] * (columns - 5)]
    ours, peer = row["ours_metrics"], row["peer_metrics"]
    used = row["fraction_of_ceiling"]
    return [*first, words(row["our_settings"]), row["peer"], words(row["settings"]),
            f"{ours['cycles_per_second']:.4g}", f"{peer['cycles_per_second']:.4g}", program.shown(row["ratio"]),
            f"{100 * used['ours']:.0f} : {100 * used['peer']:.0f}" if used else "-",
            f"{ours['setup_seconds']:.1f} : {peer['setup_seconds']:.1f}{_first(row)}",
            f"{ours['peak_memory_bytes'] / 2**20:.0f} : {peer['peak_memory_bytes'] / 2**20:.0f}"]
