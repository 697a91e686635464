"""What all workers do together, on NumPy arrays: sums up one balanced tree, gathering, broadcasts.

Each takes of the order of log2(n) messages, between partners (tree.py) alone.

A sum of pairs, of pairs of pairs and so on has the same bits wherever its members are, if they are added in this order
and floating point addition commutes, which it does. Each pair halves the work (Rabenseifner, "Optimization of
collective reduction operations", 2004: recursive halving and doubling), so a worker sends 2 (n - 1) / n of the array,
as in a ring, in 2 log2(n) messages instead of 2 (n - 1).
"""

import io
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.workers.links import Links
from engine.workers.tree import levels

SMALL = 2**14  # bytes up to which pairs exchange all of it: half as many messages
HELD = struct.Struct("<QQ")  # rank, bytes: before what is a worker's


class Collectives:
    """Over ``links``. Every worker must call them in the same order, with arrays of the same size."""

    def __init__(self, links: Links) -> None:
        self._links, self.rank, self.count = links, links.rank, links.count
        self._inner = 1 << levels(self.count)  # those in the tree; the others go through one of it

    def sum(self, values: np.ndarray, name: str, join: np.ufunc = np.add) -> np.ndarray:
        """The sum over all workers of a one-dimensional array, the same bits on each; or what ``join`` makes of two."""
        total = np.array(values)
        outer = self.count - self._inner
        if self.rank >= self._inner:
            inside = self.rank - self._inner
            self._links.exchange(inside, name, total.data, total[:0])
            return self._links.exchange(inside, name, b"", total)
        if self.rank < outer:
            room = np.empty_like(total)
            self._links.exchange(self.rank + self._inner, name, b"", room)
            with np.errstate(all="ignore"):
                join(total, room, out=total)
        with np.errstate(all="ignore"):  # what is not finite is looked at in the sum
            self._up_and_down(total, name, join)
        if self.rank < outer:
            self._links.exchange(self.rank + self._inner, name, total.data, total[:0])
        return total

    def _up_and_down(self, total: np.ndarray, name: str, join: np.ufunc) -> None:
        """In place. Of small arrays each pair exchanges all; of others half, and gets the rest on the way down."""
        room = np.empty_like(total)
        if total.nbytes <= SMALL:
            for level in range(levels(self._inner)):
                join(total, self._links.exchange(self.rank ^ (1 << level), name, total.data, room), out=total)
            return
        done, low, high = [], 0, len(total)
        for level in range(levels(self._inner)):
            partner, middle = self.rank ^ (1 << level), (low + high) // 2
            mine, theirs = ((low, middle), (middle, high))[::1 if self.rank < partner else -1]
            done.append((partner, mine, theirs))
            into = room[mine[0]:mine[1]]
            self._links.exchange(partner, name, total[theirs[0]:theirs[1]].data, into)
            join(total[mine[0]:mine[1]], into, out=total[mine[0]:mine[1]])
            low, high = mine
        for partner, mine, theirs in reversed(done):
            self._links.exchange(partner, name, total[mine[0]:mine[1]].data, total[theirs[0]:theirs[1]])

    def gather(self, values: bytes, name: str) -> list[bytes]:
        """The bytes of each worker, in order, on all: each pair tells all that both hold."""
        held, outer = {self.rank: values}, self.count - self._inner
        if self.rank >= self._inner:
            inside = self.rank - self._inner
            self._links.exchange(inside, name, _joined(held))
            held = _parted(self._links.exchange(inside, name, b""))
        else:
            if self.rank < outer:
                held |= _parted(self._links.exchange(self.rank + self._inner, name, b""))
            for level in range(levels(self._inner)):
                held |= _parted(self._links.exchange(self.rank ^ (1 << level), name, _joined(held)))
            if self.rank < outer:
                self._links.exchange(self.rank + self._inner, name, _joined(held))
        return [held[rank] for rank in range(self.count)]

    def broadcast(self, values: bytes, name: str) -> bytes:
        """The chief's bytes, on all, down a tree."""
        held = self.rank == 0
        for level in reversed(range((self.count - 1).bit_length())):
            distance = 1 << level
            if held and self.rank % (2 * distance) == 0 and self.rank + distance < self.count:
                self._links.exchange(self.rank + distance, name, values)
            elif not held and self.rank % (2 * distance) == distance:
                values, held = self._links.exchange(self.rank - distance, name, b"").tobytes(), True
        return values


def _joined(held: Mapping[int, bytes]) -> bytes:
    return b"".join(HELD.pack(rank, len(values)) + values for rank, values in held.items())


def _parted(data: np.ndarray) -> dict[int, bytes]:
    held, at, every = dict[int, bytes](), 0, data.tobytes()
    while at < len(every):
        rank, size = HELD.unpack_from(every, at)
        at += HELD.size + size
        held[rank] = every[at - size:at]
    return held


def packed(arrays: Mapping[str, Any]) -> bytes:
    """Arrays as bytes; nothing in them is run by whoever reads them."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})
    return file.getvalue()


def unpacked(data: bytes) -> dict[str, np.ndarray]:
    """What ``packed`` was given."""
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}
