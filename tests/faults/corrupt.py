"""Random damage to the newest checkpoint: it is named, the one before it is taken, and nothing crashes.

  python -m tests.faults.corrupt [--mutations 2000]      about 5 seconds per thousand

A mutation that changes no value (a space in the manifest) may load, but only with the very same bits. A manifest that
is forged, with a correct SHA-256, and tells of other variables than the run's is refused with the difference.
"""

import argparse
import collections
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np

from engine import Invalid
from engine.run import checkpoint

FORMS = {"nets/net/000.kernel": ((8, 4), "float32"), "nets/net/001.bias": ((4,), "float32"),
         "optimizers/fit/000.iteration": ((), "int64"), "averages/fit/000.average": ((8, 4), "float32")}
WRONG = (None, -1, 10**30, 0.5, "x", "../../x", [], {}, [[]], {"state.npz": []}, {"x": [[-1], "object"]}, True)


class Slot:
    """A variable as ``checkpoint.load`` sees it."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype, self.value = shape, np.dtype(dtype), None

    def assign(self, value):
        self.value = np.array(value)


def fill(folder, rng):
    """Two checkpoints, 5 and 10, of different values; {cycle: state}."""
    states = {cycle: {name: np.asarray(rng.normal(size=shape) * 100).astype(dtype)
                      for name, (shape, dtype) in FORMS.items()} for cycle in (5, 10)}
    for cycle, state in states.items():
        checkpoint.save(folder, cycle, state, {"position": 3 * cycle, "seconds": 0.5, "config": {"seed": 0},
                                               "kept": {"row": {}}, "updates": {"fit": cycle}})
    return states


def _any(path, rng):
    return path / (checkpoint.STATE, checkpoint.MANIFEST)[rng.integers(2)]


def _rewrite(file, change):
    data = bytearray(file.read_bytes())
    file.write_bytes(change(data))


def truncate(path, rng):
    """Any length below the whole."""
    _rewrite(file := _any(path, rng), lambda data: data[:rng.integers(file.stat().st_size)])


def flip(path, rng):
    """One to eight bits."""
    def change(data):
        for place in rng.choice(8 * len(data), rng.integers(1, 9), replace=False):
            data[place // 8] ^= 1 << (place % 8)
        return data
    _rewrite(_any(path, rng), change)


def insert(path, rng):
    """Some bytes anywhere."""
    def change(data):
        at = rng.integers(len(data) + 1)
        return data[:at] + rng.bytes(rng.integers(1, 20)) + data[at:]
    _rewrite(_any(path, rng), change)


def cut(path, rng):
    """Some bytes less, anywhere."""
    def change(data):
        at = rng.integers(len(data))
        return data[:at] + data[at + rng.integers(1, 20):]
    _rewrite(_any(path, rng), change)


def empty(path, rng):
    """No byte left."""
    _any(path, rng).write_bytes(b"")


def delete(path, rng):
    """The file is gone; or a folder is in its place."""
    file = _any(path, rng)
    file.unlink()
    if rng.integers(2):
        file.mkdir()


def swap(path, rng):
    """Files of the other checkpoint in the place of this one's."""
    for name in ((checkpoint.STATE,), (checkpoint.MANIFEST,), (checkpoint.STATE, checkpoint.MANIFEST))[rng.integers(3)]:
        shutil.copy(path.parent / "5" / name, path / name)


def header(path, rng):
    """A byte of the archive's own headers or of an array's."""
    def change(data):
        starts = [at for mark in (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\x93NUMPY")
                  for at in range(len(data)) if data.startswith(mark, at)]
        at = starts[rng.integers(len(starts))] + rng.integers(46)
        data[min(at, len(data) - 1)] ^= rng.integers(1, 256)
        return data
    _rewrite(path / checkpoint.STATE, change)


def edit(path, rng):
    """Another value somewhere in the manifest, as an editor would write it."""
    manifest = json.loads((path / checkpoint.MANIFEST).read_text())
    _replace(manifest, list(manifest), rng)
    (path / checkpoint.MANIFEST).write_text(json.dumps(manifest))


def forge(path, rng):
    """The same of what tells how to read the state, under a new and correct seal."""
    manifest = json.loads((path / checkpoint.MANIFEST).read_text())
    del manifest["sha256"]
    _replace(manifest, ["cycle", "revision", "variables", "files"], rng)
    manifest["sha256"] = checkpoint._seal(manifest)
    (path / checkpoint.MANIFEST).write_text(json.dumps(manifest))


def nest(path, rng):
    """JSON that is deeper than a reader can follow."""
    depth = int(rng.integers(1, 200_000))
    (path / checkpoint.MANIFEST).write_text(('{"a":' if rng.integers(2) else "[") * depth)


def _replace(values, keys, rng):
    """One value, or one inside it, by something of the wrong kind; or it is gone."""
    key = keys[rng.integers(len(keys))]
    inner = values[key]
    if isinstance(inner, dict | list) and inner and rng.integers(3):
        _replace(inner, list(inner) if isinstance(inner, dict) else range(len(inner)), rng)
    elif rng.integers(6) == 0:
        del values[key]
    else:
        others = [wrong for wrong in WRONG if wrong != values[key]]
        values[key] = others[rng.integers(len(others))]


KINDS = (truncate, flip, insert, cut, empty, delete, swap, header, edit, forge, nest)


def outcome(folder, states):
    """"detected", "unchanged" (the same values were loaded), "refused", or what is wrong."""
    said = []
    try:
        found = checkpoint.newest(folder, said.append, {"seed": 0})
        slots = {name: Slot(*form) for name, form in FORMS.items()}
        manifest = checkpoint.load(found, slots)
    except Invalid as error:
        return "refused" if "must be of the same variables" in str(error) else f"unclear: {error}"
    except Exception as error:
        return f"crash: {type(error).__name__}: {error}"[:300]
    cycle = int(found.name)
    right = all(np.array_equal(slots[name].value, state) for name, state in states[cycle].items())
    right &= (manifest["position"], manifest["seconds"], manifest["kept"]) == (3 * cycle, 0.5, {"row": {}})
    if not right:
        return f"silent load of other values from {found.name}"
    named = len(said) == 1 and said[0].startswith(f"checkpoint {folder / '10'} is passed over: ")
    if cycle == 10:
        return "unchanged" if not said else "named and yet loaded"
    return "detected" if named and "\n" not in said[0] else f"not named in one line: {said}"


def damage(mutations, seed=0):
    """{kind: {outcome: number}} of so many random mutations, each of whole checkpoints."""
    rng, found = np.random.default_rng(seed), collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory() as temporary:
        whole, folder = Path(temporary) / "whole", Path(temporary) / "checkpoints"
        states = fill(whole, rng)
        for number in range(mutations):
            kind = KINDS[number % len(KINDS)]
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(whole, folder)
            kind(folder / "10", rng)
            found[kind.__name__][outcome(folder, states)] += 1
    return found


def wrong(found):
    """How many mutations of ``found`` did not end as they must."""
    good = {kind: {"detected", "unchanged", *["refused"] * (kind == "forge")} for kind in found}
    return sum(count for kind, outcomes in found.items() for what, count in outcomes.items() if what not in good[kind])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = damage(options.mutations, options.seed)
    for kind, outcomes in found.items():
        print(f"{kind:10}" + ", ".join(f"{count} {what}" for what, count in outcomes.most_common()))
    total = sum(found.values(), collections.Counter())
    bad = wrong(found)
    print(f"{options.mutations} mutations: {total['detected']} detected and the checkpoint before taken, "
          f"{total['unchanged']} that changed no value, {total['refused']} forged and refused, {bad} wrong")
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
