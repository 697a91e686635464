"""Several runs in one folder, one after another: what kfold and compare_nets share."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import wiring

Make = Callable[[argparse.Namespace, Any], wiring.Job]


def train(chosen: argparse.Namespace, runs: Mapping[str, argparse.Namespace], make: Make, free: set[str]) -> int:
    """Train each run in its folder under --run-dir, a finished one only as far as it is not. Returns the exit code.

    Args:
      chosen: The options of all; without ``free`` they are what makes two such folders the same.
      runs: {name of the folder: options of the run}.
      make: The same as of ``wiring.run``.
      free: Options that may be others when the folder is continued.
    """
    with wiring.quiet():
        import keras

        from engine.run.folder import RunFolder
    config = {name: value for name, value in wiring.config(chosen).items() if name not in free}
    folder: Any = None

    def read() -> None:
        nonlocal folder
        folder = RunFolder(chosen.run_dir, config)

    if guarded(read):
        return 2
    for number, (name, options) in enumerate(runs.items(), start=1):
        print(f"== {number} of {len(runs)}: {name}", flush=True)
        keras.backend.clear_session()
        options.run_dir = chosen.run_dir / name
        code = wiring.run(options, lambda options, dataset: _under(folder, options, make(options, dataset)))
        if code:
            return code
    return 0


def _under(folder: Any, options: argparse.Namespace, job: wiring.Job) -> wiring.Job:
    """The job, which makes the folder of all runs before its own."""
    def begin(trainer: Any) -> None:
        if not options.smoke:
            folder.create()
        job.begin(trainer)
    return dataclasses.replace(job, begin=begin)


def like(chosen: argparse.Namespace, script: str, without: set[str], **others: Any) -> argparse.Namespace:
    """Options as those of the train script ``script``, with ``others`` in place of ``chosen``'s."""
    kept = {name: value for name, value in vars(chosen).items() if name not in without}
    return argparse.Namespace(**{**kept, "script": script, **others})


def guarded(act: Callable[[], None]) -> int:
    """Do something with files; 0, or 2 and one line if it cannot be done. Returns the exit code."""
    from engine import Invalid

    try:
        act()
    except (Invalid, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def summary(folder: Path) -> dict[str, Any]:
    """What a finished run found. Raises ``Invalid``, OSError."""
    from engine import Invalid
    from engine.run.durable import read_json

    try:
        return read_json(folder / "summary.json")
    except ValueError as error:
        raise Invalid(f"`summary.json` ({folder / 'summary.json'}) must be what the run wrote: {error}") from None


def write_summary(folder: Path, values: dict[str, Any]) -> None:
    """What all runs together found, as summary.json."""
    from engine.reporting.files import write_whole

    write_whole(folder / "summary.json", (json.dumps(values, indent=2) + "\n").encode())


def table(rows: list[list[str]]) -> str:
    """Rows of texts in columns: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join([row[0].ljust(widths[0]), *(text.rjust(width) for text, width in
                                                   zip(row[1:], widths[1:], strict=True))]) for row in rows)
    return "\n".join(lines)
