"""What is wrong with a run that has not begun, each in one line with its remedy."""

from collections.abc import Iterator, Mapping

from engine.cycle.step import Step
from engine.run.check_data import ROUNDING, Column
from engine.run.check_phases import Attempt
from engine.run.check_text import rounded, shortened

STEEP = 1e4  # norm of a gradient
UNEVEN = 10  # times as many examples of the most frequent class as of the rarest


def of_phase(step: Step, attempt: Attempt, labels: Mapping[str, Column]) -> tuple[list[str], list[str]]:
    """(what makes training impossible, what else is odd) of one phase. ``labels``: keys that the net may look up."""
    place = f"phase {attempt.phase}"
    if attempt.error:
        return [f"{place} cannot run: {attempt.error}{_remedy(attempt.error, labels)}"], []
    if attempt.bad:
        return [f"{place}: {_not_finite(step, attempt.bad)} at the first update: look for the logarithm, root or "
                f"division of a 0 in the loss, with --plan eager and prints in it{_ranges(labels)}"], []
    return [], list(_oddities(place, step, attempt))


def _oddities(place: str, step: Step, attempt: Attempt) -> Iterator[str]:
    nets = " and ".join(step.phase.updates)
    if attempt.at_zero:
        yield (f"{place}: with all weights of {nets} at 0, {_not_finite(step, attempt.at_zero)}: the root or norm of a "
               "0 has no gradient; add a small number inside it, as in tf.sqrt(squares + 1e-12)")
    for net, norm in attempt.norms.items():
        if norm == 0:
            yield (f"{place}: the gradient of net {net} is 0: a saturated or dead activation, or weights that all "
                   "start at 0; try another initialization or scale of the inputs")
        elif norm > STEEP and step.commit.update.clip_norm is None and step.commit.loss_scale is None:
            yield (f"{place}: the gradient of net {net} has a norm of {rounded(norm)}: scale the inputs or the terms "
                   "down, or bound it by Update(clip_norm=...)")


def _not_finite(step: Step, bad: list[str]) -> str:
    terms = [name for name in bad if name in step.names]
    gradients = [name for name in bad if name not in step.names]
    what = f"{', '.join(terms)} {'are' if len(terms) > 1 else 'is'} not finite"
    return what if terms else f"the gradient of {shortened(gradients, 3)} is not finite"


def _remedy(error: str, labels: Mapping[str, Column]) -> str:
    if "OOM" in error or "allocat" in error:
        return "; take a smaller batch or net"
    return _ranges(labels)


def _ranges(labels: Mapping[str, Column]) -> str:
    told = [f"{name} runs from {rounded(column.low)} to {rounded(column.high)}" for name, column in labels.items()]
    return f"; {', '.join(told)}: does the net have a place for each?" if told else ""


def of_data(stored: Mapping[str, Column], given: Mapping[str, Column]) -> Iterator[str]:
    """What is odd about the data. ``given``: columns of one batch after the transform."""
    for name, column in stored.items():
        many = f"all {column.examples:,} examples looked at"
        if column.not_finite:
            yield (f"{name}: {column.not_finite:,} numbers in {column.examples:,} examples are not finite: mend or "
                   "leave out these examples")
        if column.is_number and column.examples > 1 and column.low == column.high:
            yield f"{name} is {rounded(column.low)} in {many}: it tells nothing; check how it is read"
        elif column.classes:
            yield from _balance(name, column)
    for name, column in given.items():
        before = stored.get(name)
        if column.not_finite and not (before and before.not_finite):
            yield f"{name}: {column.not_finite:,} numbers are not finite after the transform: mend the transform"
        if column.low == column.high and column.examples > 1 and (not before or before.low < before.high) and (
                column.shape):
            yield f"{name} is {rounded(column.low)} throughout after the transform: mend the transform"
        elif column.is_picture and (column.low < -1 - ROUNDING or column.high > 1 + ROUNDING):
            yield (f"{name} runs from {rounded(column.low)} to {rounded(column.high)} after the transform: nets want "
                   "pictures in [0, 1] or [-1, 1]; use engine.data.augment.scale, or divide by 255")


def _balance(name: str, column: Column) -> Iterator[str]:
    rarest, commonest = (pick(column.classes, key=column.classes.__getitem__) for pick in (min, max))
    least, most = column.classes[rarest], column.classes[commonest]
    if most > UNEVEN * least:
        yield (f"{name}: {least:,} examples of class {rarest} to {most:,} of class {commonest}: weigh the classes in "
               "the loss, or repeat the rare ones, and look at each class's accuracy")
