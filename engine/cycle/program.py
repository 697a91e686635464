"""The phases and their loop, compiled by one plan."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from engine.cycle.block import by_block, suits
from engine.cycle.division import Division
from engine.cycle.launch import by_launch
from engine.cycle.loops import UNROLLED, Loop, Turns, by_cycle, by_update
from engine.cycle.parts import Parts
from engine.cycle.plan import Plan
from engine.cycle.refusals import refuse_in_loop
from engine.cycle.schedule import Schedule
from engine.cycle.step import Step
from engine.data.source import Source
from engine.device import device


class Program(NamedTuple):
    """What runs. ``kind``: of loop, "launch", "block", "cycle" or "update"."""

    plan: Plan
    kind: str
    steps: dict[str, Step]
    loop: Loop


def program_of(plan: str, parts: Mapping[str, Parts], schedule: Schedule, division: Division,
               sources: Sequence[Source], limit: int, variables: Sequence[Any]) -> Program:
    """The program of ``plan``; it is traced when it first runs.

    Args:
      limit: Bad updates in a row at which the loop stops.
      variables: Variables of the nets.
    """
    chosen = Plan(plan)
    steps = {name: Step(part.compute, part.inputs, part.commit, chosen.of(name), division)
             for name, part in parts.items()}
    turns = Turns(list(steps.values()), schedule, limit)
    kind = _kind(turns, chosen, division, sources)
    for step in steps.values():
        step.seldom = kind == "block"  # one update by itself
    ways: dict[str, Callable[[Turns], Loop]] = {
        "launch": partial(by_launch, compiled=chosen.block), "block": partial(by_block, compiled=chosen.block),
        "cycle": by_cycle, "update": by_update}
    loop = ways[kind](turns)
    known = [*variables, *(v for part in parts.values() for v in [*part.commit.variables, *part.commit.state.values()])]
    return Program(chosen, kind, steps, chosen.loop(loop, lambda graph: refuse_in_loop(graph, known)))


def _kind(turns: Turns, plan: Plan, division: Division, sources: Sequence[Source]) -> str:
    xla = plan.block is not None and division.whole
    if xla and device().one_launch and all(source.inside for source in sources):
        return "launch"
    if xla and suits(turns):
        return "block"
    in_sequence = any(step.inputs.in_sequence for step in turns.steps)  # each batch can only be read in its turn
    unrolled = 1 < turns.schedule.slots_per_cycle <= UNROLLED and plan.name != "eager" and not in_sequence
    return "cycle" if unrolled else "update"
