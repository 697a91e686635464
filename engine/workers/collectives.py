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
ALIGNED = 64  # bytes: TensorFlow copies what begins elsewhere
HELD = struct.Struct("<QQ")  # rank, bytes: before what is a worker's


class Collectives:
    """Over ``links``. Every worker must call them in the same order, with arrays of the same size."""

    def __init__(self, links: Links) -> None:
        self._links, self.rank, self.count = links, links.rank, links.count
        self._inner = 1 << levels(self.count)  # those in the tree; the others go through one of it

    def sum(self, values: np.ndarray, name: str, join: np.ufunc = np.add) -> np.ndarray:
        """The sum over all workers of a one-dimensional array, the same bits on each; or what ``join`` makes of two.

        ``values`` stay as they are. What comes back is new, and where TensorFlow takes it without a copy.
        """
        total = aligned(values)
        outer = self.count - self._inner
        if self.rank >= self._inner:
            inside = self.rank - self._inner
            self._links.exchange(inside, name, values.data, total[:0])
            return self._links.exchange(inside, name, b"", total)
        with np.errstate(all="ignore"):  # what is not finite is looked at in the sum
            if self.rank < outer:
                self._links.exchange(self.rank + self._inner, name, b"", total)
                values = join(values, total, out=total)
            self._up_and_down(values, total, name, join)
        if self.rank < outer:
            self._links.exchange(self.rank + self._inner, name, total.data, total[:0])
        return total

    def _up_and_down(self, values: np.ndarray, total: np.ndarray, name: str, join: np.ufunc) -> None:
        """Into ``total``. Of small arrays a pair exchanges all; of others half, and gets the rest on the way down."""
        if total.nbytes <= SMALL:
            room = np.empty_like(total)
            for level in range(levels(self._inner)):
                self._links.exchange(self.rank ^ (1 << level), name, values.data, room)
                values = join(values, room, out=total)
            return
        done, low, high = [], 0, len(total)
        for level in range(levels(self._inner)):
            partner, middle = self.rank ^ (1 << level), (low + high) // 2
            mine, theirs = ((low, middle), (middle, high))[::1 if self.rank < partner else -1]
            done.append((partner, mine, theirs))
            own, into = values[slice(*mine)], total[slice(*mine)]
            room = np.empty_like(into) if values is total else into
            self._links.exchange(partner, name, values[slice(*theirs)].data, room)
            join(own, room, out=into)
            values, (low, high) = total, mine
        for partner, mine, theirs in reversed(done):
            self._links.exchange(partner, name, total[slice(*mine)].data, total[slice(*theirs)])

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


def aligned(like: np.ndarray) -> np.ndarray:
    """An array of the form of a one-dimensional one that begins where TensorFlow wants its tensors to."""
    room = np.empty(like.nbytes + ALIGNED, np.uint8)
    begin = -room.ctypes.data % ALIGNED
    return room[begin:begin + like.nbytes].view(like.dtype)


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
