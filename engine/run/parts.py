"""What a run is made of, as JSON values: enough to open it without the code that trained it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.cycle.average import Teacher
from engine.data.source import ArraySource, Source
from engine.run.described import NotDescribed, description, made
from engine.strategy import LossStrategy

HELD_OUT = "held out"


def parts_of(strategy: LossStrategy, nets: Mapping[str, Any], sources: Mapping[str, Source], held_out: Source | None
             ) -> dict[str, Any]:
    """Strategy, nets, and of each source its form and transform. What has no description has the reason instead."""
    found = {**sources, **({HELD_OUT: held_out} if held_out else {})}
    return {"strategy": _tried(strategy),
            "nets": {name: _tried(net.spec if isinstance(net, Teacher) else net) for name, net in nets.items()},
            "sources": {name: {"batch_size": source.batch_size, "transform": _tried(source.transform),
                               "form": {key: [spec.dtype.name, *spec.shape[1:]] for key, spec in source.spec.items()}}
                        for name, source in found.items()}}


def stand_in(part: Mapping[str, Any], transform: Any) -> ArraySource:
    """Zeros in the form of a source: enough to build nets."""
    size = part["batch_size"]
    arrays = {name: np.zeros([size, *(side or 1 for side in shape)], dtype)
              for name, (dtype, *shape) in part["form"].items()}
    return ArraySource(arrays, size, transform=transform)


def remade(part: Any) -> Any:
    """What ``part`` describes. Raises ``NotDescribed``, with the reason."""
    if isinstance(part, Mapping) and "lacks" in part:
        raise NotDescribed(part["lacks"])
    return made(part)


def _tried(value: Any) -> Any:
    try:
        return description(value)
    except NotDescribed as reason:
        return {"lacks": str(reason)}
