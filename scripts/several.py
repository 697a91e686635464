"""Several runs in one folder, one after another: what kfold and compare_nets share."""

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import fields
import groups
import wiring

Chosen = TypeVar("Chosen", bound=groups.TrainOptions)


def train(run_dir: Path, config: dict[str, Any], runs: Mapping[str, Chosen],
          make: Callable[[Chosen, Any], wiring.Job]) -> int:
    """Train each run in its folder under ``run_dir``, a finished one only as far as it is not. Returns the exit code.

    Args:
      run_dir: Folder of all runs.
      config: What makes two such folders the same.
      runs: {name of the folder: options of the run}.
      make: The same as of ``wiring.run``.
    """
    with wiring.quiet():
        import keras

        from engine.run.folder import RunFolder
    folder: Any = None

    def read() -> None:
        nonlocal folder
        require_alone()
        folder = RunFolder(run_dir, config)

    if guarded(read):
        return 2
    for number, (name, options) in enumerate(runs.items(), start=1):
        print(f"== {number} of {len(runs)}: {name}", flush=True)
        keras.backend.clear_session()
        code = wiring.run(fields.replaced(options, {"run_dir": run_dir / name}),
                          lambda options, dataset: _under(folder, options, make(options, dataset)))
        if code:
            return code
    return 0


def _under(folder: Any, options: groups.TrainOptions, job: wiring.Job) -> wiring.Job:
    """The job, which makes the folder of all runs before its own."""
    def begin(trainer: Any) -> None:
        if not options.often.smoke:
            folder.create()
        job.begin(trainer)
    return dataclasses.replace(job, begin=begin)


def require_alone() -> None:
    """Raises ``Invalid`` on several workers, which train one run together."""
    from engine.errors import require
    from engine.workers.cluster import cluster

    members = cluster()
    require(members is None, "TF_CONFIG", f"{len(members.addresses) if members else 1} workers",
            "left out: this script trains several runs, one after another; give each worker a run of its own")


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
    from engine.run import check_text

    return "\n".join(check_text.table(rows, indent=""))
