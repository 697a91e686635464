"""The sections of ``--check``'s report: data, nets, phases, cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from engine.cycle.reads import Reads
from engine.cycle.step import Step
from engine.cycle.step_engine import StepEngine
from engine.cycle.terms import Form
from engine.run import environment
from engine.run.check_data import Column
from engine.run.check_phases import Attempt
from engine.run.check_text import duration, rounded, shortened, size, table
from engine.run.cost import parameters
from engine.strategy import Nets


def of_data(engine: StepEngine, stored: Mapping[str, Column], given: Mapping[str, Column]) -> list[str]:
    """Type, shape, range of every key; balance of every label."""
    source, examples = engine.source, max(column.examples for column in stored.values())
    rows = [["data", "type", "shape", "min", "mean", "max"]]
    for title, columns in ((f"as stored, {examples:,} examples", stored), ("as the nets get it, one batch", given)):
        rows += [[f"  {title}", *[""] * 5], *([f"    {name}", *_column(column)] for name, column in columns.items())]
    return [*table(rows, left=(0, 1, 2), indent=""),
            *(line for name, column in stored.items() for line in _classes(name, column)),
            f"  {source.size:,} examples: {source.batches_per_epoch:,} batches of {source.batch_size:,} per epoch",
            *[f"  buckets: {'; '.join(at.bucket for at in Reads.one(source).in_each_bucket)}"] * bool(source.buckets)]


def _column(column: Column) -> list[str]:
    known = column.is_number and column.low <= column.high
    return [column.dtype.name, " x ".join(map(str, column.shape)) or "-",
            *([rounded(each) for each in (column.low, column.mean, column.high)] if known else ["-"] * 3)]


def _classes(name: str, column: Column) -> list[str]:
    classes = column.classes
    if not classes:
        return []
    few, many = min(classes.values()), max(classes.values())
    counts = [f"{label}: {count / column.examples:.1%}" for label, count in classes.items()] if many > 2 * few else []
    return [f"  {name}: {len(classes):,} classes from {min(classes)} to {max(classes)}, of {few:,} to {many:,} examples"
            + f" ({shortened(counts)})" * bool(counts)]


def of_nets(engine: StepEngine, nets: Nets) -> list[str]:
    """Variables and numbers that training moves, and the memory of weights, optimizers' slots and averages."""
    rows = [["nets", "", "variables", "parameters", "weights", "optimizer", "averages", "in all"]]
    numbers = []
    for name, net in nets.items():
        memory = _memory(engine, nets, name)
        numbers.append([len(net.trainable_variables), parameters(net), *memory, sum(memory)])
        rows.append([f"  {name}", type(net).__name__, *_numbers(numbers[-1])])
    if len(nets) > 1:
        rows.append(["  all", "", *_numbers([sum(column) for column in zip(*numbers, strict=True)])])
    return table(rows, left=(0, 1), indent="")


def _numbers(row: Sequence[int]) -> list[str]:
    return [f"{row[0]:,}", f"{row[1]:,}", *(size(each) if each else "-" for each in row[2:])]


def _memory(engine: StepEngine, nets: Nets, name: str) -> list[int]:
    """Bytes of weights, slots and averages. Slots of an optimizer of several nets are shared by their parameters."""
    mine, slots, averages = {id(v) for v in nets[name].trainable_variables}, 0, 0
    for part in engine.parts.values():
        for optimizer, moved in part.commit.groups:
            fraction = _bytes([v for v in moved if id(v) in mine]) / max(1, _bytes(moved))
            slots += round(fraction * _bytes(optimizer.variables))
        pairs = part.average.pairs if part.average else []
        averages += _bytes([average for v, average in pairs if id(v) in mine])
    return [_bytes(nets[name].variables), slots, averages]


def _bytes(variables: Sequence[Any]) -> int:
    values = [v.value if isinstance(v, keras.Variable) else v for v in variables]
    return sum(value.shape.num_elements() * value.dtype.size for value in values)


def of_phase(engine: StepEngine, step: Step, attempt: Attempt) -> list[str]:
    """What the phase does, and what it gave."""
    phase, update, traced = step.phase, step.commit.update, step.compute.traced
    how = [f"{phase.repeats:,} per cycle" + f", in every {phase.every:,}th" * (phase.every > 1)]
    how += ["when its condition holds"] * (phase.when is not None)
    how += [f"moves {', '.join(phase.updates)} by {', '.join(type(each).__name__ for each in update.optimizers)}"]
    how += [f"mean of {update.accumulate:,} batches"] * (update.accumulate > 1)
    how += [f"gradient norm at most {rounded(update.clip_norm)}"] if update.clip_norm else []
    how += [f"weights at most {rounded(update.clip_weights)}"] if update.clip_weights else []
    how += [f"draws {', '.join(traced.requests)}"] if traced.requests else []
    lines = [f"phase {phase.name}: {'; '.join(how)}"]
    if attempt.error:
        return [*lines, f"  it cannot run: {attempt.error}"]
    lines += table([["  term", "value", "weight", "mean over"], *_terms(engine, step, attempt)], left=(0, 3), indent="")
    lines += [f"  gradient norm of {net}: {rounded(norm)}" for net, norm in attempt.norms.items()]
    if traced.without_gradient:
        lines.append(f"  without gradient: {shortened([v.path for v in traced.without_gradient])}")
    lines.append(f"  finite: {_finite(attempt.bad)}")
    if attempt.at_zero is not None:
        lines.append(f"  finite with all weights of {', '.join(phase.updates)} at 0: {_finite(attempt.at_zero)}")
    return lines


def _terms(engine: StepEngine, step: Step, attempt: Attempt) -> list[list[str]]:
    update, rows = engine.completed[step.phase.name], []
    for name, value in attempt.means.items():
        weight = step.phase.weights.get(name, 1.0)
        told = rounded(float(weight(update) if callable(weight) else weight))
        form = step.compute.traced.terms.get(name, Form.SCALAR)
        rows.append([f"  {name}", rounded(value), "watched" if name in step.phase.watch else told, form.value])
    first, *terms = rows
    return [*terms, [first[0], first[1], "", ""]]


def _finite(bad: Sequence[str]) -> str:
    return f"no: {shortened(bad)}" if bad else "yes"


def memory_of(engine: StepEngine, nets: Nets) -> str:
    """What takes memory whatever the batch."""
    state = sum(sum(_memory(engine, nets, name)) for name in nets)
    gradients = max(_bytes(step.compute.variables) for step in engine.steps.values())
    arrays = [array for source in engine.sources.values() for array in getattr(source, "arrays", {}).values()]
    data = sum(array.shape.num_elements() * array.dtype.size for array in arrays)
    return ", ".join([f"{size(state)} nets and optimizers", f"{size(gradients)} gradients",
                      *[f"{size(data)} data"] * bool(data)])


def of_cost(engine: StepEngine, nets: Nets, attempts: Sequence[Attempt], cycles: int) -> list[str]:
    """Memory and time."""
    lines = ["estimate", f"  memory  at least {size(environment.peak_memory())}, the most of this check",
             f"          ({memory_of(engine, nets)}, the rest activations and libraries)"]
    if any(attempt.error for attempt in attempts):
        return [*lines, "  time    unknown"]
    cycle = sum(phase.repeats * attempt.seconds / phase.every
                for phase, attempt in zip(engine.phases, attempts, strict=True))
    epoch = cycle * engine.source.batches_per_epoch / engine.schedule.batches_per_cycle
    left = max(0, cycles - engine.cycles)
    compiling = sum(attempt.compiling for attempt in attempts)
    compiled = f"; and {duration(compiling)} to compile" if engine.plan.name != "eager" else ""
    return [*lines, f"  time    {duration(cycle)} per cycle, {duration(epoch)} per epoch, {duration(left * cycle)} for "
            f"{left:,} cycles{compiled}",
            "          (of draws and gradients; optimizers, evaluations, pictures and checkpoints come on top)"]
