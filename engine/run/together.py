"""What the workers of a run must have alike, and what the chief tells the others."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from engine.data.source import ArraySource, Source
from engine.errors import Invalid
from engine.run import environment
from engine.workers.workers import Workers

LOOKED_AT = 2**26  # bytes of each array that are compared, at most: from even strides of larger ones
ENGINE = Path(__file__).parent.parent


def require_same_run(workers: Workers, config: Mapping[str, Any], sources: Mapping[str, Source],
                     variables: Mapping[str, Any]) -> None:
    """Raise ``Invalid`` on all unless all have the same options, program, data and variables."""
    if workers.count == 1:
        return
    facts = {**dict(_flat(dict(config))), **environment.versions(), "program": _program(),
             "variables": _digest(f"{name} {v.shape} {v.dtype}".encode() for name, v in variables.items())}
    for name, source in sources.items():
        facts[f"data {name}".strip()] = _of_source(source)
    workers.agree(facts, "it makes the run")


def require_same_threads(workers: Workers) -> None:
    """Raise ``Invalid`` on all unless each adds by as many threads: where bits must not hang on the workers."""
    surroundings = environment.surroundings()
    names = ("oneDNN", "processor", "device")
    workers.agree({**{name: surroundings[name] for name in names}, "threads": _threads()},
                  "bits hang on it, and reproducible is given")


def _threads() -> int:
    """Threads of one operation, which add each a part: as set, or else as TensorFlow chooses."""
    chosen = tf.config.threading.get_intra_op_parallelism_threads()
    told = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    return int(chosen or (told if told.isdigit() else 0) or environment.surroundings()["CPUs"])


def state_from_chief(workers: Workers, variables: Mapping[str, Any], facts: dict[str, Any] | None
                     ) -> dict[str, Any] | None:
    """Put the chief's tensors in place on the others; its ``facts``."""
    if workers.count == 1:
        return facts
    facts = workers.from_chief(facts, "facts of the state")
    own = {name: v.numpy() for name, v in variables.items()} if workers.is_chief else {}
    arrays = workers.arrays_from_chief(own, "state")
    if not workers.is_chief:
        for name, variable in variables.items():
            variable.assign(arrays[name])
    return facts


def require_same_state(workers: Workers, variables: Mapping[str, Any], cycle: int) -> None:
    """Raise ``Invalid`` on all if a worker's tensors are others: its processor may compute other bits."""
    if workers.count == 1:
        return
    each = workers.from_all(_digest(np.ascontiguousarray(v.numpy()).tobytes() for v in variables.values()),
                            "digest of the state")
    other = next((rank for rank, digest in enumerate(each) if digest != each[0]), None)
    if other is not None:
        raise Invalid(f"`state` ({each[other]} of worker {other}, {each[0]} of worker 0) must be the same on all "
                      f"workers at cycle {cycle}: that worker computes other bits, by another processor perhaps; "
                      "nothing was saved, and the last checkpoint stands")


def _digest(parts: Iterator[bytes]) -> str:
    found = hashlib.blake2b(digest_size=8)
    for part in parts:
        found.update(part)
    return found.hexdigest()


def _program() -> str:
    """Of the engine's sources: another commit does other things."""
    return _digest(path.read_bytes() for path in sorted(ENGINE.rglob("*.py")))


def _of_source(source: Source) -> str:
    """Numbers of it, and a digest: of arrays of (nearly) all, of other data of the first batch."""
    if isinstance(source, ArraySource):
        parts = (_some(array.numpy()) for array in source.arrays.values())
    else:
        raw, _ = source.in_order(tf.constant(0, tf.int64), source.open_in_order())
        parts = (_some(tensor.numpy()) for _, tensor in sorted(raw.items()))
    return f"{source.size} examples, {source.batch_size} a batch, seed {source.seed}, digest {_digest(parts)}"


def _some(array: np.ndarray) -> bytes:
    if array.dtype.hasobject:
        return repr(array.tolist()).encode()
    step = max(1, -(-array.nbytes // LOOKED_AT))
    return np.ascontiguousarray(array[::step]).tobytes()


def _flat(value: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of every value in a configuration."""
    for key, each in value.items():
        path = f"{name}.{key}".lstrip(".")
        if isinstance(each, Mapping) and each:
            yield from _flat(each, path)
        else:
            yield path, each
