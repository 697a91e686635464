"""Which operation a value that is not finite comes from."""

import heapq
from collections.abc import Callable, Iterable
from typing import NamedTuple

from engine.run.executed import Executed, Recorder

Cause = Executed | int  # or the number of a tensor that the update was given
Carriers = Callable[[Executed], list[int]]


class Found(NamedTuple):
    """A cause, and the examples whose part of it is not finite and comes through to the bad value.

    ``examples`` is None if it has no such parts; ``size``: of the batch.
    """

    cause: Cause
    examples: tuple[int, ...] | None
    size: int


class Blame:
    """Goes back from a bad value, by inputs that are not finite, to what gave the first one.

    A constant infinity, as of a mask, is innocent where it does its work; so is in the backward pass one of the forward
    pass, which reached no term. To blame is then the first operation that makes a nan of it.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def of(self, targets: Iterable[int], backward: bool = False) -> Found | None:
        """The earliest cause of the tensors of these numbers, something that the update was given before all others."""
        targets = [number for number in targets if number in self._recorder.bad]
        for innocent in (True, False):
            carriers = self._carriers(innocent, backward)
            if causes := self._causes(targets, carriers, innocent):
                cause = min(causes, key=lambda each: 0 if isinstance(each, int) else each.number)
                examples, size = self._recorder.given_rows(cause) if isinstance(cause, int) else (
                    cause.examples, cause.size)
                through = self._through(targets, cause, carriers)
                return Found(cause, tuple(each for each in examples or () if through is None or each in through)
                             or examples, size)
        return None

    def _through(self, targets: Iterable[int], cause: Cause, carriers: Carriers) -> set[int] | None:
        """The examples by which what ``cause`` gave reaches the targets; None if that cannot be told."""
        made, through = self._recorder.made, dict[int, set[int] | None](dict.fromkeys(targets))
        waiting = [(-made[number].number if number in made else 0, number) for number in through]
        heapq.heapify(waiting)
        while waiting:  # from the last to the first
            _, number = heapq.heappop(waiting)
            record, mine = made.get(number), through[number]
            if record is None or record is cause:
                if cause in (record, number):
                    return mine
                continue
            if record.examples is not None:
                mine = set(record.examples) if mine is None else (mine & set(record.examples)) or mine
            for each in carriers(record):
                if each not in through:
                    through[each] = mine
                    heapq.heappush(waiting, (-made[each].number if each in made else 0, each))
                elif (other := through[each]) is not None:
                    through[each] = None if mine is None else other | mine
        return None

    def _carriers(self, innocent: bool, backward: bool) -> Carriers:
        made, named = self._recorder.made, self._recorder.named

        def carriers(record: Executed) -> list[int]:
            return [number for number in record.carriers if number in named or (number in made and not (
                innocent and backward and record.place.stage != "forward" and made[number].place.stage == "forward"))]

        return carriers

    def _causes(self, targets: Iterable[int], carriers: Carriers, innocent: bool) -> list[Cause]:
        made, named = self._recorder.made, self._recorder.named
        causes: dict[int, dict[int, Cause]] = {}  # {tensor: its causes}
        waiting = list(targets)
        while waiting:  # depth first, without Python's recursion: a loop's path is long
            number = waiting[-1]
            if number in causes:
                waiting.pop()
                continue
            if number in named or number not in made:
                causes[number] = {number: number} if number in named else {}
                continue
            record = made[number]
            unknown = [each for each in carriers(record) if each not in causes]
            if unknown:
                waiting += unknown
                continue
            found = {key: cause for each in carriers(record) for key, cause in causes[each].items()}
            passes_on = innocent and record.carriers and "nan" not in record.gave
            causes[number] = found or ({} if passes_on else {-record.number: record})
        return list({key: cause for number in targets for key, cause in causes[number].items()}.values())
