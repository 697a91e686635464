"""Which integers of a batch are places in a table or numbers of classes. One outside it is an error in a graph, and
silently another under XLA: so the data are looked at before.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from engine.cycle.reads import Reads
from engine.errors import require

Place = tuple[str, str]  # source and key
# Operation -> which of its inputs the places are, and which gives their number.
TABLES = {"GatherV2": (1, 0), "SparseSoftmaxCrossEntropyWithLogits": (1, 0), "OneHot": (0, 1)}
SAME = ("Cast", "Identity", "Reshape", "ExpandDims", "Squeeze")  # what leaves integers what they are


def limits_of(operations: Iterable[Any], raw: Mapping[Place, tf.Tensor]) -> dict[Place, int]:
    """{source and key: number of places} of what is looked up as it is stored; the least, if there are several."""
    names = {id(tensor.op): place for place, tensor in raw.items() if tensor.dtype.is_integer}
    found: dict[Place, int] = {}
    for operation in operations:
        if operation.type in TABLES and (place := names.get(id(_origin(operation)))):
            limit = _limit(operation)
            if limit is not None:
                found[place] = min(limit, found.get(place, limit))
    return found


def check_ranges(limits: Mapping[Place, int], reads: Reads, user: str) -> None:
    """Raises ``Invalid`` for data that hold a number outside, of sources that know what they hold."""
    for (name, key), limit in limits.items():
        held = reads.sources[name].range_of(key)
        if held is None:
            continue
        for value in held:
            require(0 <= value < limit, f"{key} of the data", value,
                    f"from 0 to {limit - 1}: {user} takes it as one of {limit} classes or rows of a table")


def _origin(operation: Any) -> Any:
    """The operation that gave the places."""
    tensor = operation.inputs[TABLES[operation.type][0]]
    while tensor.op.type in SAME or _is_wrapped(tensor.op):
        tensor = tensor.op.inputs[2 if _is_wrapped(tensor.op) else 0]
    return tensor.op


def _is_wrapped(operation: Any) -> bool:
    """Whether it counts negative places from the end, as Keras does: where(x < 0, x + n, x)."""
    return bool(operation.type == "SelectV2" and operation.inputs[0].op.type == "Less"
                and operation.inputs[1].op.type == "AddV2")


def _limit(operation: Any) -> int | None:
    counted = operation.inputs[TABLES[operation.type][1]]
    if operation.type == "OneHot":
        depth = tf.get_static_value(counted)
        return None if depth is None else int(depth)
    if operation.type == "GatherV2":
        axis = tf.get_static_value(operation.inputs[2])
        return None if axis is None or int(axis) != 0 else counted.shape[0]
    return counted.shape[1]
