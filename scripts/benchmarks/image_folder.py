"""Picture files to batches of 64x64x3, images per second: ours against the best plain tf.data pipeline, and PyTorch's.

  python scripts/benchmarks/image_folder.py               2 000 pictures of its own making
  python scripts/benchmarks/image_folder.py --data-dir photos --torch-python /opt/torch/bin/python

Contestants, each in fresh processes, in pairs that alternate, all on files that are in the system's memory:
  ours           engine.data.image_folder: decoded once, at the first look, which its set-up holds, and kept in memory
  ours-files     the same for pictures that have no room there: each batch is decoded while the last one trains
  ours-cache     the same with its picture cache, a file
  tf.data        shuffle -> map(decode_image, resize) -> batch -> prefetch at the better of two and AUTOTUNE calls
  tf.data-smooth the same with antialias=True, which is what ours and Pillow do
  tf.data-memory tf.data with .cache() after the map, whose first epoch its set-up holds
  tf.data-cache  the same with .cache(FILE)
  torch          Pillow in a DataLoader of two processes, if PyTorch is found
"""

import dataclasses
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

if not __package__:  # as a person types it, from anywhere
    sys.path[:1] = [str(folder) for folder in Path(__file__).resolve().parents[1:3]]

import cli
import rules
from fields import option

from benchmarks import program
from benchmarks.processes import Failed

NAME = "image_folder"
BATCH = 64  # pictures
CALLS = (2, -1)  # candidates for num_parallel_calls; -1 is AUTOTUNE
PAIRS = (("ours", "tf.data-memory"), ("ours-files", "tf.data"), ("ours-files", "tf.data-smooth"),
         ("ours-cache", "tf.data-cache"), ("ours-files", "torch"))


@dataclasses.dataclass(frozen=True)
class Options(program.Common):
    """Of this program."""

    data_dir: Path | None = option(None, "a folder of pictures, flat or with a folder per class (default: pictures of "
                                   "100 to 300 pixels, half PNG and half JPEG, made from the shipped Fashion-MNIST)",
                                   Path)
    pictures: int = option(2000, "to make", rules.whole)
    pairs: int = option(5, "of each two contestants", rules.whole)
    seconds: float = option(6.0, "timed in each process, after the warm-up", rules.positive)
    torch_python: str = option(sys.executable, "another Python for PyTorch and Pillow (default: this one)",
                               metavar="PATH")


def compare(chosen: Options, folder: str) -> tuple[list[program.Result], list[str]]:
    """A row for each of ``PAIRS``, and notes on what is left out."""
    batch, seconds = (16, 0.2) if chosen.quick else (BATCH, chosen.seconds)
    point = {"folder": folder, "batch": batch, "seconds": seconds}
    calls, rows, notes = _best_calls(point), [], []

    def once(side: str) -> program.Result:
        python = chosen.torch_python if side == "torch" else sys.executable
        return program.run(NAME, {**point, "side": side, "calls": calls}, python)

    def turn(side: str) -> Callable[[Any], program.Result]:
        return lambda _: once(side)

    for ours, peer in PAIRS:
        try:
            if peer == "torch":
                program.run(NAME, {**point, "side": peer, "calls": calls, "seconds": 0.1}, chosen.torch_python)
        except Failed as error:
            notes.append(f"torch: left out: {str(error).rpartition(': ')[2]}")
            continue
        pairs = program.alternate(turn(ours), turn(peer),
                                  1 if chosen.quick else chosen.pairs)
        rows.append(summary(ours, peer, pairs))
        program.say(f"{ours} : {peer}: {program.shown(rows[-1]['ratio'])}")
    return rows, [f"tf.data: num_parallel_calls={'AUTOTUNE' if calls == -1 else calls}", *notes]


def _best_calls(point: program.Result) -> int:
    trial = {**point, "side": "tf.data", "seconds": point["seconds"] / 2}
    rates = {calls: program.run(NAME, {**trial, "calls": calls})["images_per_second"] for calls in CALLS}
    program.say(f"tf.data, images/s by calls: {rates}")
    return max(rates, key=lambda calls: rates[calls])


def summary(ours: str, peer: str, pairs: list[tuple[program.Result, program.Result]]) -> program.Result:
    """One row: medians over the pairs, the ratio pair by pair."""
    row: program.Result = {"ours": ours, "peer": peer, "pairs": pairs, "ratio": program.spread(
        [first["images_per_second"] / second["images_per_second"] for first, second in pairs])}
    for side, number in (("ours", 0), ("peer", 1)):
        row[f"{side}_metrics"] = {name: statistics.median(pair[number][name] for pair in pairs) for name in
                                  ("images_per_second", "setup_seconds", "peak_memory_bytes")}
    return row


def table(rows: list[program.Result]) -> str:
    """The rows for people."""
    lines = []
    for row in rows:
        ours, peer = row["ours_metrics"], row["peer_metrics"]
        lines.append([row["ours"], row["peer"], f"{ours['images_per_second']:.0f}", f"{peer['images_per_second']:.0f}",
                      program.shown(row["ratio"]), f"{ours['setup_seconds']:.1f} : {peer['setup_seconds']:.1f}",
                      f"{ours['peak_memory_bytes'] / 2**20:.0f} : {peer['peak_memory_bytes'] / 2**20:.0f}"])
    return program.columns(["ours", "peer", "ours, images/s", "peer, images/s", "ours : peer (min..max)",
                            "set-up, s", "peak memory, MiB"], lines)


def work(chosen: Options) -> tuple[program.Result, str]:
    with tempfile.TemporaryDirectory(prefix="phaseloop-pictures-") as made:
        if chosen.data_dir is None:
            program.run(NAME, {"make": made, "count": 40 if chosen.quick else chosen.pictures})
        rows, notes = compare(chosen, str(chosen.data_dir or made))
    return {"rows": rows, "notes": notes}, "\n".join([table(rows), *notes])


def measured(point: program.Result) -> program.Result:
    """What one process does."""
    from benchmarks import pictures

    return pictures.measured(point)


if __name__ == "__main__":
    raise SystemExit(program.main(cli.Command(Options(), __doc__).parse(), work, measured))
