"""The complete state of a run, by name."""

from typing import Any

from engine.cycle.step import StepEngine
from engine.strategy import Nets


def variables_of(nets: Nets, engine: StepEngine) -> dict[str, Any]:
    """{name: variable} of weights, statistics, optimizer slots, averages and loss scales.

    Names count variables by their place, because Keras numbers layers by what else the process made.
    States of seed generators are left out: each update sets them from its key.
    """
    groups = {f"nets/{name}": net.variables for name, net in nets.items()}
    for phase, updater in engine.updaters.items():
        groups[f"optimizers/{phase}"] = updater.update.optimizer.variables
        groups[f"averages/{phase}"] = [average for _, average in updater.averages]
        if updater.loss_scale is not None:
            groups[f"loss_scales/{phase}"] = [updater.loss_scale.scale, updater.loss_scale.good]
        if updater.spikes is not None:
            groups[f"spikes/{phase}"] = [updater.spikes.values, updater.spikes.count]
    return {f"{group}/{place:03d}.{_kind(variable)}": variable
            for group, variables in groups.items() for place, variable in enumerate(variables)
            if variable.name != "seed_generator_state"}


def _kind(variable: Any) -> str:
    """kernel, bias, momentum ...: a name without the layers' numbers, which Keras puts before a slot's kind."""
    name: str = variable.name.split(":")[0]
    whole = ("learning_rate", "loss_scale", "good_updates", "objectives", "noted")
    return name if name in whole else name.rsplit("_", 1)[-1]


def averages_of(engine: StepEngine) -> list[tuple[Any, Any]]:
    """(variable, average) pairs of every phase that averages its weights."""
    return [pair for updater in engine.updaters.values() for pair in updater.averages]
