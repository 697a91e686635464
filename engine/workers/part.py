"""Which part of a batch is meant."""

from typing import NamedTuple


class Part(NamedTuple):
    """Part ``number`` of ``of`` equal ones."""

    number: int = 0
    of: int = 1

    def rows(self, size: int) -> slice:
        """Its rows of ``size``."""
        each = size // self.of
        return slice(self.number * each, (self.number + 1) * each)


WHOLE = Part()
