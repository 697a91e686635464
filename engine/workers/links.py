"""The sockets between workers, and messages on them.

Each message says its number, its name and its size, and both sides must say the same: workers that do different things
are told so, and never wait for each other in silence.
"""

import contextlib
import os
import select
import socket
import struct
import time
from typing import Any

import numpy as np

from engine.workers.cluster import Cluster
from engine.workers.tree import partners

HEADER = struct.Struct("<QQ48s")  # number, bytes, name
HELLO = struct.Struct("<8sQQ")  # what it is, rank, purpose
MAGIC = b"phaseloo"
COLLECTIVES, BEATS = 0, 1  # purposes of a connection
CONNECTING = 300.0  # seconds within which all workers must be there: PHASELOOP_CONNECT_SECONDS
WAITING = 1800.0  # seconds for which a partner that lives is waited for: PHASELOOP_WAIT_SECONDS
HEARING = 1.0  # seconds in which a partner that has ended may be heard to say why
WHY = b"!"  # among the beats: what follows says why nothing can go on
BUFFER = 2**22  # bytes of a socket's buffers


class WorkerLost(RuntimeError):
    """A partner has ended, is silent, or does something else: nothing can go on together."""


class OutOfStep(WorkerLost):
    """A partner does something else, and would again after another start: the program is to be mended."""


class Links:
    """Connections of this worker to each of its partners, one for collectives and one for beats.

    Attributes:
      lost: Why nothing can go on, once that is so.
      sent: Bytes sent. messages: Messages sent.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.rank, self.count = cluster.rank, len(cluster.addresses)
        self.lost, self._kind = "", WorkerLost
        self.sent = self.messages = 0
        self._waiting = float(os.environ.get("PHASELOOP_WAIT_SECONDS", WAITING))
        self._numbers = dict.fromkeys(range(self.count), 0)  # of the next message on each link
        self.sockets: dict[int, dict[int, socket.socket]] = {COLLECTIVES: {}, BEATS: {}}
        try:
            self._connect(cluster)
        except WorkerLost as error:
            self.lose(str(error))
            self.close()
            raise

    def _connect(self, cluster: Cluster) -> None:
        """The higher rank of two calls the lower."""
        until = time.monotonic() + float(os.environ.get("PHASELOOP_CONNECT_SECONDS", CONNECTING))
        wanted = {(purpose, rank) for purpose in self.sockets for rank in partners(self.rank, self.count)}
        with _listening(cluster.addresses[self.rank]) as listener:
            for purpose, rank in sorted(wanted):
                if rank < self.rank:
                    self.sockets[purpose][rank] = self._called(cluster.addresses[rank], rank, purpose, until)
            while missing := [each for each in wanted if each[1] not in self.sockets[each[0]]]:
                listener.settimeout(max(0.01, until - time.monotonic()))
                try:
                    found, _ = listener.accept()
                except TimeoutError:
                    ranks = ", ".join(str(rank) for rank in sorted({each[1] for each in missing}))
                    raise WorkerLost(f"worker {ranks} did not come in time") from None
                self._greeted(found, wanted)

    def _called(self, address: tuple[str, int], rank: int, purpose: int, until: float) -> socket.socket:
        while True:
            try:
                found = socket.create_connection(address, timeout=max(0.1, min(5.0, until - time.monotonic())))
                found.settimeout(max(0.1, until - time.monotonic()))
                found.sendall(HELLO.pack(MAGIC, self.rank, purpose * 2**32 + self.count))
                answer = _exactly(found, HELLO.size)
                if HELLO.unpack(answer) == (MAGIC, rank, purpose * 2**32 + self.count):
                    return _tuned(found)
                found.close()
                raise WorkerLost(f"worker {rank} is of another cluster or version")
            except OSError:
                if time.monotonic() >= until:
                    raise WorkerLost(f"worker {rank} at {address[0]}:{address[1]} did not answer in time") from None
                time.sleep(0.05)

    def _greeted(self, found: socket.socket, wanted: set[tuple[int, int]]) -> None:
        """A call; what is none of a partner is closed."""
        with contextlib.suppress(OSError, struct.error):
            found.settimeout(5.0)
            magic, rank, rest = HELLO.unpack(_exactly(found, HELLO.size))
            purpose, count = divmod(rest, 2**32)
            if magic == MAGIC and count == self.count and (purpose, rank) in wanted \
                    and rank not in self.sockets[purpose]:
                found.sendall(HELLO.pack(MAGIC, self.rank, rest))
                self.sockets[purpose][rank] = _tuned(found)
                return
        found.close()

    def exchange(self, rank: int, name: str, give: Any, take: np.ndarray | None = None) -> np.ndarray:
        """Send ``give`` (bytes-like) to a partner and receive what it sends, both at once.

        Args:
          name: What is done; the partner must do the same.
          take: Array that is to be filled; None: bytes of whatever number comes.

        Raises:
          WorkerLost: If the partner is gone, or does something else, or nothing comes for too long.
        """
        number, link = self._numbers[rank], self.sockets[COLLECTIVES][rank]
        self._numbers[rank] += 1
        view = memoryview(give).cast("B") if len(give) else memoryview(b"")
        head = HEADER.pack(number, len(view), name.encode()[:48])
        self.sent, self.messages = self.sent + len(view), self.messages + 1
        out, header, room = [memoryview(head), view], bytearray(HEADER.size), None
        inwards, read, last = memoryview(header), 0, time.monotonic()
        while out or read < len(inwards):
            self.check()
            readable, writable, _ = select.select([link] if read < len(inwards) else [], [link] if out else [], [], 1.0)
            if not (readable or writable):
                self._patient(last, rank, name)
                continue
            last = time.monotonic()
            try:
                if writable:
                    _dropped(out, link.sendmsg(out))
                if readable:
                    got = link.recv_into(inwards[read:])
                    read += got
                    if not got:
                        raise ConnectionError
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                self._ended(rank)
                raise self._kind(self.lost) from None
            if read == len(inwards) and room is None:
                room = self._room(rank, number, name, bytes(header), take)
                inwards, read = room.data.cast("B") if room.size else memoryview(b""), 0
        assert room is not None
        return room

    def _room(self, rank: int, number: int, name: str, header: bytes, take: np.ndarray | None) -> np.ndarray:
        theirs, size, other = HEADER.unpack(header)
        if other.rstrip(b"\0") != name.encode()[:48].rstrip(b"\0") or theirs != number or (
                take is not None and size != take.nbytes):
            other = other.rstrip(b"\0").decode(errors="replace")
            self.lose(f"worker {rank} is at {other!r} ({size} bytes), where worker {self.rank} is at {name!r}"
                      + (f" ({take.nbytes} bytes)" if take is not None else "")
                      + ": all workers must do the same in the same order; has an event of one alone asked for a sum?",
                      OutOfStep)
            self.check()
        return take if take is not None else np.empty(size, np.uint8)

    def _patient(self, last: float, rank: int, name: str) -> None:
        if time.monotonic() - last > self._waiting:
            self.lose(f"worker {rank} lives but has not come to {name!r} for {self._waiting:g} s: has an event of "
                      "one worker alone asked for it?")

    def _ended(self, rank: int) -> None:
        """Of a partner, which perhaps has lost another, and says so: the thread of the beats hears it."""
        until = time.monotonic() + HEARING
        while not self.lost and time.monotonic() < until:
            time.sleep(0.01)
        self.lose(f"worker {rank} has ended")

    def close(self) -> None:
        """Nothing more is sent or received."""
        for each in [*self.sockets[COLLECTIVES].values(), *self.sockets[BEATS].values()]:
            each.close()

    def check(self) -> None:
        """Raise ``WorkerLost``, with its reason, if nothing can go on."""
        if self.lost:
            raise self._kind(self.lost)

    def lose(self, why: str, kind: type[WorkerLost] = WorkerLost) -> None:
        """Nothing can go on: partners are told why, they tell theirs, and whoever waits is woken."""
        first = not self.lost
        if first:
            self.lost, self._kind = why, kind
        for each in self.sockets[BEATS].values() if first else ():
            with contextlib.suppress(OSError):
                each.send(WHY + why.encode())
        for each in [*self.sockets[COLLECTIVES].values(), *self.sockets[BEATS].values()]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _dropped(out: list[memoryview], sent: int) -> None:
    """Take what was sent from the front of ``out``."""
    while out and sent >= len(out[0]):
        sent -= len(out.pop(0))
    if out and sent:
        out[0] = out[0][sent:]


def _listening(address: tuple[str, int]) -> socket.socket:
    """On the port of ``address``, wherever the call comes from."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1" if address[0] in ("127.0.0.1", "localhost") else "", address[1]))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise WorkerLost(f"port {address[1]} cannot be listened on: {error.strerror}") from None
    return listener


def _exactly(link: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = link.recv(size - len(found))
        if not more:
            raise ConnectionError
        found += more
    return found


def _tuned(link: socket.socket) -> socket.socket:
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for side in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        link.setsockopt(socket.SOL_SOCKET, side, BUFFER)
    link.setblocking(False)
    return link
