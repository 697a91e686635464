"""The complete state of a run, by name."""

from collections.abc import Sequence
from typing import Any

from engine.cycle.step_engine import StepEngine


def variables_of(engine: StepEngine) -> dict[str, Any]:
    """{name: variable} of weights, statistics, optimizer slots, averages, loss scales, the strategy's state.

    Names count variables by their place, because Keras numbers layers by what else the process made. An optimizer of
    two phases stands under the first. States of seed generators are left out: each update sets them from its key.
    """
    groups: dict[str, Sequence[Any]] = {f"nets/{name}": net.variables for name, net in engine.nets.items()}
    groups |= {f"averages/{name}": net.average.variables for name, net in engine.teachers.items() if net.average}
    optimizers: set[int] = set()
    for phase, part in engine.parts.items():
        commit = part.commit
        several = [each for each in commit.update.optimizers if id(each) not in optimizers]
        optimizers |= {id(each) for each in several}
        groups[f"optimizers/{phase}"] = [variable for each in several for variable in each.variables]
        if part.average is not None:
            groups[f"averages/{phase}"] = part.average.variables
        if commit.loss_scale is not None:
            groups[f"loss_scales/{phase}"] = [commit.loss_scale.scale, commit.loss_scale.good]
        if commit.spikes is not None:
            groups[f"spikes/{phase}"] = [commit.spikes.values, commit.spikes.count]
    named = {f"{group}/{place:03d}.{_kind(variable)}": variable
             for group, variables in groups.items() for place, variable in enumerate(variables)
             if variable.name != "seed_generator_state"}
    return named | {f"state/{name}": variable for name, variable in engine.state.items()}


def _kind(variable: Any) -> str:
    """kernel, bias, momentum ...: a name without the layers' numbers, which Keras puts before a slot's kind."""
    name: str = variable.name.split(":")[0]
    whole = ("learning_rate", "loss_scale", "good_updates", "objectives", "noted")
    kind = name if name in whole else name.rsplit("_", 1)[-1]
    return "variable" if kind.isdigit() else kind  # Keras's own number of one that has no name
