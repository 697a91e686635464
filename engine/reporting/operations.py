"""Where the time of a profile went: by phase, layer and operation."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from engine.cycle.names import PARTS, scope_of
from engine.reporting.xspace import Operation

TOP = 5  # operations of a phase that are named
NUMBER = re.compile(r"_\d+$")
HEAD = ("phase", "layer", "operation", "ms per cycle", "% of all")


class Place(NamedTuple):
    """Where an operation belongs. ``layer`` is its path in the net; else what the operation is part of, in brackets."""

    phase: str
    layer: str
    operation: str


class Places:
    """Tells where operations belong.

    Args:
      phases: Names.
      layers: Names of all layers of all nets, and of the nets.
    """

    def __init__(self, phases: Collection[str], layers: Collection[str]) -> None:
        self._phases, self._layers = {scope_of(phase): phase for phase in phases}, set(layers)

    def of(self, operation: Operation) -> Place:
        """Of one operation."""
        path = operation.name.split("/")
        at = next((i for i, name in enumerate(path[:-1]) if self._phase(name) and path[i + 1] in PARTS), None)
        if at is None:
            return Place("", "", operation.kind)
        kind = path[-1] if "/" in operation.name and operation.kind in ("fusion", "custom-call") else operation.kind
        kind = NUMBER.sub("", kind)
        layers = []
        for name in path[at + 2:-1]:
            if (layer := self._layer(name)) is None:
                break
            layers.append(layer)
        back = " gradient" if "gradient_tape" in path else ""
        return Place(self._phase(path[at]), "/".join(layers) or f"({path[at + 1]})", kind + back)

    def _phase(self, name: str) -> str:
        return self._phases.get(name) or self._phases.get(NUMBER.sub("", name), "")

    def _layer(self, name: str) -> str | None:
        """Keras opens a layer's name twice, to build it and to call it; TensorFlow numbers the second."""
        return next((each for each in (NUMBER.sub("", name), name) if each in self._layers), None)


def times(operations: Iterable[Operation], places: Places) -> Counter[Place]:
    """{place: picoseconds}. Operations that run side by side both count."""
    found: Counter[Place] = Counter()
    for operation in operations:
        found[places.of(operation)] += operation.end - operation.begin
    return found


def table(found: Mapping[Place, int], cycles: int, top: int = TOP) -> list[tuple[str, ...]]:
    """Rows of text, a head first: of each phase, the slowest first, all of it and its ``top`` operations.

    What belongs to no phase, as the loop around them, comes last.
    """
    whole = sum(found.values()) or 1
    phases: Counter[str] = Counter()
    for place, time in found.items():
        phases[place.phase] += time
    rows: list[tuple[str, ...]] = [HEAD]
    for phase, time in sorted(phases.items(), key=lambda each: (not each[0], -each[1])):
        rows.append((phase or "(around)", "", "all", *_shown(time, cycles, whole)))
        mine = sorted(((each, place) for place, each in found.items() if place.phase == phase), reverse=True)
        rows += [("", place.layer, place.operation, *_shown(each, cycles, whole)) for each, place in mine[:top]]
    return rows


def aligned(rows: Iterable[tuple[str, ...]]) -> str:
    """The rows as text, numbers to the right."""
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(text.rjust(width) if i >= 3 else text.ljust(width)
                               for i, (text, width) in enumerate(zip(row, widths, strict=True))).rstrip()
                     for row in rows)


def _shown(time: int, cycles: int, whole: int) -> tuple[str, str]:
    return f"{time * 1e-9 / cycles:.3f}", f"{100 * time / whole:.1f}"
