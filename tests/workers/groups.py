"""Processes on this machine that train one case after the other together; each writes what it found."""

import gc
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from engine.workers.cluster import environment_of
from tests import pairs
from tests.workers.cases import Case

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
               "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(ROOT), "PHASELOOP_WAIT_SECONDS": "240"}
NOTHING: Mapping[str, np.ndarray] = MappingProxyType({})


class Found(NamedTuple):
    """What a group found of a case.

    Attributes:
      error: What went wrong; "" for nothing, and then the rest is there.
      hashes: State's hash on each worker. values: {name: array} at the end, start: at the beginning.
      sums, sent: Collective sums, and bytes sent by the chief, in the training. plan: Name of the plan that ran.
    """

    error: str = ""
    hashes: tuple[str, ...] = ()
    start: Mapping[str, np.ndarray] = NOTHING
    values: Mapping[str, np.ndarray] = NOTHING
    sums: int = 0
    sent: int = 0
    plan: str = ""


def found_by(count: int, cases: list[Case], folder: Path, seconds: float = 150.0) -> list[Found]:
    """What ``count`` processes find of each case. A group that fails is ended, and another does what is left.

    Args:
      folder: Folder of this group alone. seconds: Limit for a case; the start of the processes is given a minute more.
    """
    done: list[Found] = []
    while len(done) < len(cases):
        place = folder / str(len(done))
        place.mkdir(parents=True)
        left = cases[len(done):]
        (place / "cases.json").write_text(json.dumps([case._asdict() for case in left]))
        why = together("tests.workers.groups", count, place, 60.0 + seconds * len(left))
        done += _read(count, place)
        if len(done) < len(cases) and why:
            done.append(Found(error=why))
    return done


def together(module: str, count: int, place: Path, seconds: float) -> str:
    """Run ``python -m module place rank`` in ``count`` processes. Why they failed; "" if they did not.

    Args:
      place: Folder, where what they say is kept, too. seconds: Limit; who is not done then is ended.
    """
    hosts = {rank: f"{host}:{port}" for rank, (host, port) in enumerate(pairs.addresses(count))}
    started = []
    for rank in range(count):
        environment = {**os.environ, **ENVIRONMENT, "TF_CONFIG": environment_of(hosts, rank) if count > 1 else ""}
        with (place / f"{rank}.txt").open("w") as out:
            started.append(subprocess.Popen(
                [sys.executable, "-m", module, str(place), str(rank)], cwd=ROOT, env=environment,
                stdout=out, stderr=subprocess.STDOUT, start_new_session=True))
    failed = ""
    try:
        for rank, each in enumerate(started):
            if each.wait(seconds):
                failed = failed or f"worker {rank}: {(place / f'{rank}.txt').read_text()[-1500:]}"
    except subprocess.TimeoutExpired:
        failed = f"not done after {seconds:.0f} s"
    finally:
        for each in started:
            if each.poll() is None:
                os.killpg(each.pid, signal.SIGKILL)
                each.wait()
    return failed


def _read(count: int, place: Path) -> list[Found]:
    """The cases that all workers have finished."""
    written = [(place / f"{rank}.jsonl") for rank in range(count)]
    rows = [[json.loads(line) for line in file.read_text().splitlines()] if file.exists() else [] for file in written]
    found = []
    for number, each in enumerate(zip(*rows, strict=False)):
        chief = each[0]
        if any("error" in row for row in each):
            found.append(Found(error="; ".join(row.get("error", "no error") for row in each)))
            continue
        with np.load(place / f"{number}.npz") as arrays:
            values = {kind: {name.partition(":")[2]: arrays[name] for name in arrays.files
                             if name.startswith(f"{kind}:")} for kind in ("start", "values")}
        found.append(Found("", tuple(row["hash"] for row in each), values["start"], values["values"], chief["sums"],
                           chief["sent"], chief["plan"]))
    return found


def _trained(case: Case, to: Path) -> dict[str, Any]:
    """Train, and write to ``to`` what the chief has."""
    from engine.workers.workers import workers
    from tests.workers import cases

    trainer, here = case.trainer(), workers()
    start, before = cases.floats(trainer), (getattr(here, "sums", 0), getattr(here, "bytes_sent", 0))
    trainer.train(cycles=case.cycles)
    sums, sent = (getattr(here, name, 0) - old for name, old in zip(("sums", "bytes_sent"), before, strict=True))
    if case.folder:
        trainer.save()
    if here.is_chief:
        arrays = {"start": start, "values": cases.floats(trainer)}
        np.savez(to, **{f"{kind}:{name}": array for kind, each in arrays.items() for name, array in each.items()})
    return {"hash": cases.state_hash(trainer), "sums": sums, "sent": sent, "plan": trainer.engine.plan.name}


def main(place: Path, rank: int) -> None:
    """One worker."""
    import keras

    from engine import Invalid
    from engine.run import trial

    trial.SHORT = 0.0  # so that "auto" has its trial, however short the run
    with (place / f"{rank}.jsonl").open("w") as out:
        for number, fields in enumerate(json.loads((place / "cases.json").read_text())):
            try:
                row = _trained(Case(**fields), place / f"{number}.npz")
            except Invalid as error:  # the same on all, and they go on
                row = {"error": str(error)}
            except Exception:
                traceback.print_exc()
                sys.stdout.flush()
                os._exit(1)
            print(json.dumps(row), file=out, flush=True)
            keras.backend.clear_session()
            gc.collect()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
