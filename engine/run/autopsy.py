"""The autopsy of a bad update: it is computed again, operation by operation, and the first that went wrong is named.

Nothing is paid for it before. A bad update leaves state, batch and draws as they were, so the same update can be
computed at any time after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from engine.cycle.candidates import Candidates
from engine.cycle.health import Fault
from engine.cycle.inputs import Inputs
from engine.cycle.keras_internals import handles, number_of
from engine.cycle.measured import Given, Measured
from engine.cycle.plan import Plan
from engine.cycle.step_engine import StepEngine
from engine.data.source import ArraySource
from engine.run import wording
from engine.run.applied import first_overflow
from engine.run.blame import Blame, Found
from engine.run.check_data import context
from engine.run.executed import Recorder
from engine.run.failure import one_line
from engine.run.rows import Rows


@dataclass(frozen=True)
class Autopsy:
    """What was found.

    Attributes:
      stage: "forward" or "backward" pass, "given" for what was bad before the update, "update" for what follows the
        gradients, "none" if all is finite.
      operation: TensorFlow's name of the first operation that went wrong; in the backward pass of the one that is
        differentiated; of what was bad before, its name; "" if all is finite.
      layer: Path of the layer in which it was called, the net's name first; "" outside of layers.
      line: File and line where it was called.
      examples: Places in the update's batch of the examples that cause it; None where it is not of single examples.
      in_data: Places of the same in the arrays of an ``ArraySource``, if the phase reads that alone.
      finding: All of it in words.
    """

    phase: str
    update: int
    stage: str
    finding: str
    operation: str = ""
    layer: str = ""
    line: str = ""
    examples: tuple[int, ...] | None = None
    in_data: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return f"autopsy: phase {self.phase}, update {self.update}, {self.finding}"


def autopsy(engine: StepEngine, fault: Fault) -> Autopsy:
    """Compute the update of ``fault`` again, eagerly, from the engine's state. Nothing is changed."""
    if not engine.division.whole:
        return Autopsy(fault.phase, fault.update, "none",
                       "is not taken apart on several workers or fixed shards: continue on one without")
    try:
        return _autopsy(engine, fault)
    except Exception as error:  # it must not hide the error that it is to explain
        told = one_line(error) if isinstance(error, tf.errors.OpError) else f"{type(error).__name__}: {error}"
        return Autopsy(fault.phase, fault.update, "none", f"cannot be computed operation by operation: {told}")


def _autopsy(engine: StepEngine, fault: Fault) -> Autopsy:
    at, step = (fault.phase, fault.update), engine.steps[fault.phase]
    given, inputs = _given(engine, fault)
    parts, assigned = step.commit.update.accumulate, given.assigned
    for number in range(parts):
        part = inputs.micro(number)
        recorder = _recorder(engine, fault, given, part)
        with recorder.listening():
            measured = step.compute.gradients(given._replace(assigned=assigned), part)
        assigned = measured.assigned
        for stage, targets in (("forward", _terms(measured, recorder)), ("forward", _numbers(assigned, recorder)),
                               ("backward", _numbers(measured.gradients[0], recorder))):
            blamed = Blame(recorder).of(targets, stage == "backward")
            if blamed is not None:
                named = _named(at, recorder, stage, blamed, number, parts)
                of_data = recorder.rows.is_read(blamed.cause) if isinstance(blamed.cause, int) else blamed.cause.read
                return _in_data(engine, named) if of_data else named
    recorder = Recorder(engine.nets, {}, {}, Rows())
    with recorder.listening():
        found = Candidates(step.compute, step.commit, Plan("eager"), engine.division, False).of(
            tf.constant(fault.update, tf.int64), inputs)
    blamed = Blame(recorder).of(_numbers([*found.measured.gradients[0], *found.proposed.values()], recorder))
    if blamed is not None:
        return _named(at, recorder, "update", blamed, 0, 1)
    if (overflow := first_overflow(engine, step, found)) is not None:
        return Autopsy(*at, "update", overflow.finding, overflow.name)
    return Autopsy(*at, "none", wording.finite(fault, _largest(engine, fault, given, inputs)))


def _given(engine: StepEngine, fault: Fault) -> tuple[Given, Inputs]:
    """What the update was computed from."""
    step = engine.steps[fault.phase]
    places = engine.schedule.first_batches(list(engine.steps).index(fault.phase), engine.place)
    update = tf.constant(fault.update, tf.int64)
    inputs = step.inputs.of(update, [tf.constant(place, tf.int64) for place in places], context(engine))
    assigned = [tf.convert_to_tensor(v.value) for v in step.compute.traced.assigned]
    return Given(update, step.commit.scale(), step.compute.weights(), assigned, step.commit.values()), inputs


def _recorder(engine: StepEngine, fault: Fault, given: Given, inputs: Inputs) -> Recorder:
    """One that knows what the update is given."""
    compute, rows, named = engine.steps[fault.phase].compute, Rows(), {}
    owner = {id(v): f"weight {net}/{v.path}" for net, model in engine.nets.items() for v in model.variables}
    for v, value in [*zip(compute.variables, given.weights or [], strict=True),
                     *zip(compute.traced.assigned, given.assigned, strict=True)]:
        named[number_of(value)] = owner.get(id(v), f"variable {v.path}")
    named |= {number_of(value): f"state {name}" for name, value in given.state.items()}
    for what, tensors in (("the batch's", inputs.raw), ("the draw of", inputs.data)):
        for each in tensors.values():
            named |= {number_of(value): f"{what} {name}" for name, value in each.items()}
    named |= {number_of(value): f"the draw of {name}" for name, value in inputs.loss.items()}
    for each in (inputs.raw, inputs.data, inputs.loss):
        for value in tf.nest.flatten(each):
            rows.begin(value, read=each is not inputs.loss)
    resources = {number_of(handle): owner[id(v)] for model in engine.nets.values() for v in model.variables
                 for handle in handles(v)}
    return Recorder(engine.nets, named, resources, rows)


def _numbers(tensors: Sequence[tf.Tensor], recorder: Recorder) -> list[int]:
    """Of those that are not finite."""
    return [number_of(each) for each in tensors if recorder.held_by(each)]


def _terms(measured: Measured, recorder: Recorder) -> tuple[int, ...]:
    """The objective, if it is not finite; else the terms that are not."""
    pack = recorder.made.get(number_of(measured.vector))
    if pack is None or not recorder.held_by(measured.vector):
        return ()
    return pack.carriers if np.isfinite(measured.vector[0]) else pack.carriers[:1]


def _named(at: tuple[str, int], recorder: Recorder, stage: str, blamed: Found, number: int, parts: int) -> Autopsy:
    """The cause, in micro-batch ``number`` of ``parts``, whose examples are counted through the whole batch."""
    cause, examples, size = blamed
    examples = None if examples is None else tuple(each + number * size for each in examples)
    if isinstance(cause, int):
        finding = wording.given(recorder.named[cause], recorder.bad[cause], examples, size * parts)
        return Autopsy(*at, "given", finding, recorder.named[cause], examples=examples)
    finding = wording.executed(stage, cause, recorder, examples, size * parts)
    place = cause.place
    return Autopsy(*at, stage, finding, place.gradient_of or cause.kind, place.layer, place.line, examples)


def _in_data(engine: StepEngine, found: Autopsy) -> Autopsy:
    """``found`` with the places of the examples in the data."""
    order = list(engine.steps).index(found.phase)
    sources = list(engine.steps[found.phase].inputs.reads.sources.items())
    if len(sources) != 1 or not isinstance(source := sources[0][1], ArraySource) or not found.examples:
        return found
    first = engine.schedule.first_batches(order, engine.place)[list(engine.sources).index(sources[0][0])]
    places = tuple(int(source.places(first + each // source.batch_size)[each % source.batch_size])
                   for each in found.examples)
    told = f"; in the data {', '.join(map(str, places))}" if len(places) <= wording.SHOWN else ""
    return replace(found, in_data=places, finding=found.finding + told)


def _largest(engine: StepEngine, fault: Fault, given: Given, inputs: Inputs) -> str:
    """Which term and example make the objective what it is."""
    compute, found = engine.steps[fault.phase].compute, []
    for number in range(len(inputs.seeds)):
        part = inputs.micro(number)
        for name, values in compute.buckets.choose(part, lambda part: compute.rows(given, part)).items():
            if name in compute.counted and values.dtype.is_floating and values.shape.rank == 1:
                size = np.abs(values.numpy().astype(np.float64))
                found.append((float(size.max()), name, int(size.argmax()) + number * len(size)))
    return "; its largest part is {1}, {0:.6g} of example {2}".format(*max(found)) if found else ""
