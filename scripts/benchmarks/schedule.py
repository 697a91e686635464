"""Who sends what to whom in a sum over workers, and what that costs on simulated clocks.

The code that is asked is the engine's own, ``engine.workers.collectives``: with ``Alone`` or ``Clocked`` in the place
of its sockets it says each message of each worker.
"""

import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from engine.workers.collectives import SMALL, Collectives
from engine.workers.tree import levels, partners

PATIENCE = 60.0  # seconds for which a thread waits for a partner's message

Boxes = dict[tuple[int, int], "queue.Queue[tuple[float, str, bytes]]"]


class Message(NamedTuple):
    """One exchange of a worker: with whom, and how many bytes each way."""

    partner: int
    sent: int
    received: int


class Round(NamedTuple):
    """One exchange of every worker, in arrays over all: partners, and the bytes that each sends."""

    partner: np.ndarray
    sent: np.ndarray


@dataclass(frozen=True)
class Cost:
    """What a message costs, seconds.

    Attributes:
      latency: Seconds of a link.
      bandwidth: Bytes per second of a link, each way, when one message uses it.
      machine: Workers that share a machine, and its link to other machines; inside it each pair has a link of its own.
      scattered: Number of machines over which neighbouring ranks are dealt out; 0: those of a machine are neighbours.
      message: Further seconds of a message: the program's own.
      byte: The same of each of its bytes.
    """

    latency: float
    bandwidth: float
    machine: int = 1
    scattered: int = 0
    message: float = 0.0
    byte: float = 0.0

    def of(self, one: Any, other: Any, size: Any) -> Any:
        """Of a message of ``size`` bytes between two workers, or many, when all send at once."""
        inside = self._place(one) == self._place(other)
        sharing = np.where(inside, 1, self.machine)
        return self.latency + self.message + size * (sharing / self.bandwidth + self.byte)

    def lone(self, size: float) -> float:
        """The same where no other uses the link."""
        return self.latency + self.message + size * (1 / self.bandwidth + self.byte)

    def _place(self, rank: Any) -> Any:
        return rank % self.scattered if self.scattered else rank // self.machine


class Alone:
    """In the place of ``Links``: notes what a worker sends, with nobody at the other end.

    Args:
      told: Bytes that come from a partner to whom nothing is given, where no array says how many.
    """

    def __init__(self, rank: int, count: int, told: int = 0) -> None:
        self.rank, self.count, self._told = rank, count, told
        self.messages: list[Message] = []

    def exchange(self, rank: int, name: str, give: Any, take: np.ndarray | None = None) -> np.ndarray:
        room = np.zeros(0 if len(give) else self._told, np.uint8) if take is None else take
        room[...] = 0
        self.messages.append(Message(rank, memoryview(give).nbytes, room.nbytes))
        return room


class Clocked:
    """In the place of ``Links`` in a thread: hands over what is sent, and moves the clocks of both on."""

    def __init__(self, rank: int, count: int, boxes: Boxes, cost: Cost) -> None:
        self.rank, self.count, self._boxes, self._cost = rank, count, boxes, cost
        self.clock = 0.0

    def exchange(self, rank: int, name: str, give: Any, take: np.ndarray | None = None) -> np.ndarray:
        data = bytes(memoryview(give).cast("B")) if len(give) else b""
        self._boxes[self.rank, rank].put((self.clock, name, data))
        clock, other, came = self._boxes[rank, self.rank].get(timeout=PATIENCE)
        assert other == name, (other, name)
        self.clock = max(self.clock, clock) + float(self._cost.of(self.rank, rank, max(len(data), len(came))))
        found = np.frombuffer(came, np.uint8 if take is None else take.dtype)
        if take is None:
            return found
        take[...] = found
        return take


def boxes(count: int) -> Boxes:
    """Empty, between all partners."""
    return {(rank, other): queue.Queue() for rank in range(count) for other in partners(rank, count)}


def noted(act: Callable[[Collectives], Any], rank: int, count: int, told: int = 0) -> list[Message]:
    """What the engine's code sends for ``act`` as worker ``rank``."""
    links: Any = Alone(rank, count, told)
    act(Collectives(links))
    return links.messages


def rounds_of_sum(count: int, numbers: int, width: int = 4) -> list[Round]:
    """All messages of all workers in one sum of ``numbers``; ``count`` is a power of two."""
    ranks, distances = np.arange(count), [1 << level for level in range(levels(count))]
    if numbers * width <= SMALL:
        return [Round(ranks ^ distance, np.full(count, numbers * width)) for distance in distances]
    low, high = np.zeros(count, int), np.full(count, numbers)
    up, down = [], []
    for distance in distances:
        middle, lower = (low + high) // 2, ranks & distance == 0
        mine = np.where(lower, low, middle), np.where(lower, middle, high)
        kept = mine[1] - mine[0]
        up.append(Round(ranks ^ distance, (high - low - kept) * width))
        down.append(Round(ranks ^ distance, kept * width))
        low, high = mine
    return [*up, *reversed(down)]


def of_worker(rounds: Sequence[Round], rank: int) -> list[Message]:
    """The messages of one worker."""
    return [Message(int(each.partner[rank]), int(each.sent[rank]), int(each.sent[each.partner[rank]]))
            for each in rounds]


def steps(rounds: Sequence[Round], cost: Cost) -> list[tuple[np.ndarray, np.ndarray]]:
    """Partners and seconds of each round."""
    return [(each.partner, cost.of(np.arange(len(each.partner)), each.partner,
                                   np.maximum(each.sent, each.sent[each.partner]))) for each in rounds]


def replayed(clocks: np.ndarray, done: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The clocks of all workers after ``steps``."""
    for partner, seconds in done:
        clocks = np.maximum(clocks, clocks[partner]) + seconds
    return clocks


def played(lists: Sequence[Sequence[Message]], cost: Cost) -> list[float]:
    """The clocks after any messages, as each meets its partner's. Raises ``RuntimeError`` if one meets none."""
    clocks, at = [0.0] * len(lists), [0] * len(lists)

    def met(rank: int) -> int | None:
        if at[rank] == len(lists[rank]):
            return None
        partner = lists[rank][at[rank]].partner
        theirs = lists[partner][at[partner]] if at[partner] < len(lists[partner]) else None
        return partner if theirs and theirs.partner == rank else None

    ready = list(range(len(lists)))
    while ready:
        rank = ready.pop()
        while (partner := met(rank)) is not None:
            message = lists[rank][at[rank]]
            if (message.sent, message.received) != lists[partner][at[partner]][:0:-1]:
                raise RuntimeError(f"workers {rank} and {partner} do not send what is awaited: {message}")
            clocks[rank] = clocks[partner] = max(clocks[rank], clocks[partner]) + float(
                cost.of(rank, partner, max(message.sent, message.received)))
            at[rank], at[partner] = at[rank] + 1, at[partner] + 1
            ready.append(partner)
    if any(place < len(each) for place, each in zip(at, lists, strict=True)):
        raise RuntimeError("a message meets none of its partner")
    return clocks


def ring(count: int, size: float, cost: Cost) -> float:
    """Seconds of a sum of ``size`` bytes round a ring of neighbours, in parts."""
    return 2 * (count - 1) * cost.lone(size / count)


def tree(count: int, size: float, cost: Cost) -> float:
    """Up a binary tree and down again, whole."""
    return 2 * levels(count) * cost.lone(size)


def hierarchical(count: int, size: float, cost: Cost) -> float:
    """By halving within a machine, then between machines, each part by itself, over the link that all share."""
    machine = min(cost.machine, count)
    inside = sum(cost.lone(size / 2**level) for level in range(1, levels(machine) + 1))
    between = sum(float(cost.of(0, cost.machine, size / machine / 2**level))
                  for level in range(1, levels(count // machine) + 1))
    return 2 * (inside + between)


def all_pairs(count: int) -> int:
    """Messages, one after the other, if each worker exchanges with each other one, the lowest first."""
    return 2 * count - 3
