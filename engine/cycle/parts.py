"""The parts of every phase, made once: what it computes, what it is given, what it does to the state."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from engine.cycle import optimizers
from engine.cycle.after import trace_after
from engine.cycle.agreement import trace_each
from engine.cycle.average import Teacher, WeightAverage
from engine.cycle.commit import Commit
from engine.cycle.compute import Compute
from engine.cycle.division import Division
from engine.cycle.health import Spike
from engine.cycle.inputs import PhaseInputs
from engine.cycle.lookups import check_ranges
from engine.cycle.reads import Reads
from engine.cycle.refusals import refuse_averaged_state
from engine.cycle.symbolic import Specs
from engine.cycle.synchronised import Drawn
from engine.cycle.trace import Traced
from engine.cycle.update import Group, Update
from engine.cycle.variables import once, seed_states
from engine.errors import require
from engine.strategy import Nets, Phase


class Parts(NamedTuple):
    """Of one phase. ``average``: of its weights, for evaluation."""

    compute: Compute
    inputs: PhaseInputs
    commit: Commit
    average: WeightAverage | None


def parts_of(phases: Sequence[Phase], nets: Nets, updates: Mapping[str, Update], reads: Sequence[Reads],
             sources: Sequence[str], state: Mapping[str, tf.Variable], division: Division, seed: int,
             loss_scaling: bool,
             spike: Spike | None) -> dict[str, Parts]:
    """{phase: its parts}. Traces every loss once per bucket, and creates all variables of nets and optimizers."""
    specs = specs_of(state)
    teachers = [net for net in nets.values() if isinstance(net, Teacher)]
    if teachers:  # before they have weights of their own they are the other net: trace again once they have
        for phase, each in zip(phases, reads, strict=True):
            trace_each(phase, nets, each, specs)
        for teacher in teachers:
            teacher.build()
    traced = [trace_each(phase, nets, each, specs, every_term=updates[phase.name].gradient is not None)
              for phase, each in zip(phases, reads, strict=True)]
    for phase, mine, each in zip(phases, traced, reads, strict=True):
        check_ranges(mine.lookups, each, f"phase {phase.name}")
    groups = [_reached(updates[phase.name].groups(phase, nets), each)
              for phase, each in zip(phases, traced, strict=True)]
    found: dict[str, Parts] = {}
    optimizers.build(group for each in groups for group in each)
    for phase, mine, each, by in zip(phases, traced, reads, groups, strict=True):
        update = updates[phase.name]
        drawn = Drawn(phase, nets, each, specs) if division.synchronises and seed_states(nets) else None
        compute = Compute(phase, mine, nets, each, division, once(v for _, variables in by for v in variables), drawn)
        _check_parts(compute, update, nets, division)
        inputs = PhaseInputs(phase, mine, each, sources, len(seed_states(nets)), seed, update.accumulate,
                             division.workers.part)
        averaged = [*compute.variables, *_statistics(phase, nets, traced, compute.variables)]
        average = None if update.average is None else WeightAverage(averaged, update.average, warm_up=True)
        averages = [average] if average else []
        averages += [teacher.average for teacher in teachers
                     if teacher.average and teacher.spec.net in phase.updates]
        commit = Commit(phase, update, nets, by, compute.variables, mine.assigned, averages, state,
                        _after_reads(phase, nets, compute, update.accumulate, specs), loss_scaling, spike)
        found[phase.name] = Parts(compute, inputs, commit, average)
    return found


def specs_of(state: Mapping[str, tf.Variable]) -> dict[str, tf.TensorSpec]:
    """The form of the strategy's state."""
    return {name: tf.TensorSpec(variable.shape, variable.dtype) for name, variable in state.items()}


def _reached(groups: Sequence[Group], traced: Traced) -> list[Group]:
    """Without variables that have no gradient: a momentum would move them all the same."""
    lost = {id(v) for v in traced.without_gradient}
    reached = [(optimizer, [v for v in variables if id(v) not in lost]) for optimizer, variables in groups]
    return [group for group in reached if group[1]] or list(groups)  # none at all is refused later


def _statistics(phase: Phase, nets: Nets, traced: Sequence[Traced], weights: Sequence[Any]) -> list[Any]:
    """The floating variables of the phase's nets that forward passes assign, but the weights."""
    mine = {id(v) for name in phase.updates for v in nets[name].variables} - {id(v) for v in weights}
    return once(v for each in traced for v in each.assigned if id(v) in mine and tf.as_dtype(v.dtype).is_floating)


def _check_parts(compute: Compute, update: Update, nets: Nets, division: Division) -> None:
    """Raises ``Invalid`` for a batch that is taken apart although its examples are not independent."""
    phase, taken = compute.phase, f"in {update.accumulate * division.count} parts"
    if update.accumulate * division.count == 1:
        return
    if not division.whole:
        refuse_averaged_state(compute.traced.assigned, nets, f"phase {phase.name}")
    require(phase.separable, f"batch of phase {phase.name}", taken,
            "whole, unless no example's terms depend on the others: then say Phase(separable=True)")
    require(not compute.traced.whole, f"batch of phase {phase.name}", taken,
            f"whole: {', '.join(compute.traced.whole)} is one number of the whole batch; give one per example, [B], or "
            "a Ratio")


def _after_reads(phase: Phase, nets: Nets, compute: Compute, accumulate: int, specs: Specs) -> bool:
    """Whether the phase's ``after`` reads what its update moves."""
    if phase.after is None:
        return False
    seen = {name: tf.TensorSpec([]) for name in [*compute.names, "gradient_norm"]}
    for name in phase.passes:
        examples, *shape = compute.traced.shapes[name]
        seen[name] = tf.TensorSpec([examples * accumulate, *shape], compute.traced.dtypes[name])
    moved = {id(v) for v in [*compute.variables, *compute.traced.assigned]}
    return any(id(v) in moved for v in trace_after(phase, nets, seen, specs))
