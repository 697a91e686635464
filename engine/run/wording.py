"""What an autopsy says."""

from collections.abc import Sequence

import numpy as np

from engine.cycle.health import Fault
from engine.run.executed import Executed, Recorder

SHOWN = 5  # examples
MOST = {"float16": "65504", "bfloat16": "3.39e+38"}
AT_ZERO = {"Log", "RealDiv", "Reciprocal", "Rsqrt", "SqrtGrad", "Pow"}  # what is infinite in any dtype


def given(name: str, held: Sequence[str], examples: Sequence[int] | None, size: int) -> str:
    """Of what was bad before the update."""
    if name.startswith("the batch's") or examples is not None:
        return f"forward: {name} held {' and '.join(held)}{_for(examples, size)}"
    return f"forward: {name} held {' and '.join(held)} before the update"


def executed(stage: str, cause: Executed, recorder: Recorder, examples: Sequence[int] | None, size: int) -> str:
    """Of the first operation that went wrong."""
    what = f"{cause.kind}{_where(cause) or (f' of {cause.of}' if cause.of else '')}"
    if cause.place.gradient_of:
        inside = " inside of the loss" if stage == "forward" else ""
        what = f"the gradient of {_differentiated(cause)}{_where(cause)}{inside} ({cause.kind})"
    return (f"{stage}: {what} gave {' and '.join(cause.gave)}{_for(examples, size)}{_inputs(cause)}"
            f"{_limit(cause)}{_from_forward(stage, cause, recorder)}")


def finite(fault: Fault, largest: str) -> str:
    """Of an update in which nothing is wrong when it is computed again."""
    if all(np.isfinite(value) for value in fault.terms.values()):
        return f"all is finite: the objective spiked{largest}"
    return ("all is finite when it is computed again, operation by operation: what went wrong depends on how the cycle "
            "is compiled (--plan), or on values at the end of what the dtype holds")


def _differentiated(cause: Executed) -> str:
    forward = cause.place.forward
    of = forward.place.gradient_of if forward is not None and forward.place.stage == "forward" else ""
    return f"{cause.place.gradient_of}{f' (in the gradient of {of})' if of else ''}"


def _where(cause: Executed) -> str:
    place = cause.place
    layer = f" in layer {place.layer}" if place.layer else ""
    return f"{layer} ({place.line})" if place.line and layer else f" at {place.line}" if place.line else layer


def _for(examples: Sequence[int] | None, size: int) -> str:
    if examples is None:
        return ""
    if len(examples) == size:
        return f" for all {size} examples"
    if len(examples) > SHOWN:
        return f" for {len(examples)} of {size} examples, as {', '.join(map(str, examples[:SHOWN]))}"
    *first, last = map(str, examples)
    return f" for example{'s' * bool(first)} {', '.join(first) + ' and ' if first else ''}{last} (of {size})"


def _inputs(cause: Executed) -> str:
    if not cause.ranges:
        return ""
    *first, last = [f"one {_range(*found)}" for found in cause.ranges]
    return f"; of its inputs {', '.join(first)} and {last}" if first else f"; its input {last.removeprefix('one ')}"


def _range(low: float, high: float, held: Sequence[str]) -> str:
    if np.isnan(low):
        return f"was {' and '.join(held)}"
    beside = f" beside {' and '.join(held)}" if held else ""
    low, high = low + 0.0, high + 0.0  # no -0
    return f"{f'was {low:.6g}' if low == high else f'ran from {low:.6g} to {high:.6g}'}{beside}"


def _limit(cause: Executed) -> str:
    most = MOST.get(cause.dtype) if "nan" not in cause.gave and cause.kind not in AT_ZERO else None
    return f"; {cause.dtype} holds at most {most}" if most else ""


def _from_forward(stage: str, cause: Executed, recorder: Recorder) -> str:
    """An infinity that the forward pass kept out of all terms, but not out of the gradients."""
    if stage == "forward":
        return ""
    first = next((recorder.made[number] for number in cause.carriers if number in recorder.made
                  and recorder.made[number].place.stage == "forward"), None)
    if first is None:
        return ""
    return (f"; {first.kind}{_where(first)} gave {' and '.join(first.gave)} in the forward pass, which reached no "
            "term, but 0 times infinity is nan")
