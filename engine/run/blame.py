"""Which operation a value that is not finite comes from."""

from collections.abc import Callable, Iterable

from engine.run.executed import Executed, Recorder

Cause = Executed | int  # or the number of a tensor that the update was given


class Blame:
    """Goes back from a bad value, by inputs that are not finite, to what gave the first one.

    A constant infinity, as of a mask, is innocent where it does its work; so is in the backward pass one of the forward
    pass, which reached no term. To blame is then the first operation that makes a nan of it.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def of(self, targets: Iterable[int], backward: bool = False) -> Cause | None:
        """The earliest cause of the tensors of these numbers, something that the update was given before all others."""
        targets = [number for number in targets if number in self._recorder.bad]
        for innocent in (True, False):
            found = self._causes(targets, self._carriers(innocent, backward), innocent)
            if found:
                given = [each for each in found if isinstance(each, int)]
                return given[0] if given else min((each for each in found if isinstance(each, Executed)),
                                                  key=lambda each: each.number)
        return None

    def _carriers(self, innocent: bool, backward: bool) -> Callable[[Executed], list[int]]:
        made, named = self._recorder.made, self._recorder.named

        def carriers(record: Executed) -> list[int]:
            return [number for number in record.carriers if number in named or (number in made and not (
                innocent and backward and record.place.stage != "forward" and made[number].place.stage == "forward"))]

        return carriers

    def _causes(self, targets: Iterable[int], carriers: Callable[[Executed], list[int]], innocent: bool) -> list[Cause]:
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
