"""Faults found before the first update, each by name and with its remedy."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from engine.cycle.agreement import survey_each
from engine.cycle.average import Teacher, average_of
from engine.cycle.parts import specs_of
from engine.cycle.reads import Reads
from engine.cycle.step_engine import StepEngine
from engine.cycle.trace import survey
from engine.cycle.update import Update, as_update
from engine.data.handed import sources_of
from engine.data.source import Source
from engine.errors import require
from engine.run.check_data import ROUNDING, first_batch
from engine.run.environment import POLICIES
from engine.strategy import SAME, LossStrategy, NamedNets, Phase


def named_nets(nets: Mapping[str, Any]) -> NamedNets:
    """The nets, with a ``Teacher`` for each ``average_of``."""
    found = NamedNets()
    for name, net in nets.items():
        if not isinstance(net, average_of):
            require(isinstance(net, keras.Model), f"net {name}", net, "a keras.Model, or an average_of one")
            found[name] = net
    for name, net in nets.items():
        if isinstance(net, average_of):
            require(net.net in found, f"net {name}", net.net, f"an average of one of {', '.join(found)}")
    return NamedNets((name, Teacher(name, found[net.net], net) if isinstance(net, average_of) else net)
                     for name, net in nets.items())


def named_sources(data: Any) -> dict[str, Source]:
    """The sources by name; one alone is called data. Arrays and the like are wrapped: see ``engine.data.handed``."""
    sources = sources_of(data)
    for name in sources:
        require(name and "/" not in name and name != SAME, "data", repr(name), f'a name without "/", and not "{SAME}"')
    return sources


def check_phases(strategy: LossStrategy, nets: Mapping[str, Any]) -> list[Phase]:
    """The strategy's phases. Raises ``Invalid`` for no phases, equal names, unknown nets."""
    phases = list(strategy.phases())
    require(phases, "phases", phases, "at least one phase")
    names = [phase.name for phase in phases]
    require(len(set(names)) == len(names), "phases", names, "of different names")
    for phase in phases:
        for net in phase.updates:
            require(net in nets, f"updates of phase {phase.name}", net, f"one of the nets {', '.join(nets)}")
            require(not isinstance(nets[net], Teacher), f"updates of phase {phase.name}", net,
                    "a net with weights of its own: this one is an average")
    return phases


def check_updates(updates: Any, phases: Sequence[Phase]) -> dict[str, Update]:
    """An ``Update`` for every phase; a lone optimizer will do for a single phase.

    Raises:
      Invalid: A missing or surplus name, or a net averaged by two phases.
    """
    if not isinstance(updates, Mapping) and len(phases) == 1:
        updates = {phases[0].name: updates}
    names = [phase.name for phase in phases]
    require(isinstance(updates, Mapping) and set(updates) == set(names), "updates",
            list(updates) if isinstance(updates, Mapping) else updates, f"one per phase: {', '.join(names)}")
    found = {phase.name: as_update(updates[phase.name]) for phase in phases}
    averaged = [net for phase in phases if found[phase.name].average is not None for net in phase.updates]
    require(len(set(averaged)) == len(averaged), "average", averaged, "set in one phase only for each net")
    return found


def check_state(strategy: LossStrategy) -> dict[str, np.ndarray]:
    """The strategy's state at its start. Raises ``Invalid`` for what is no array of numbers."""
    state = strategy.state()
    require(isinstance(state, Mapping), "state", state, "a dict {name: array}")
    found = {}
    for name, value in state.items():
        array = np.asarray(value)
        require(array.dtype.kind in "biuf", f"state {name}", array.dtype, "an array of numbers")
        require("/" not in name, "state", name, 'a name without "/"')
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        require(array.dtype.kind != "f" or bool(np.isfinite(array).all()), f"state {name}", "not finite", "finite")
        found[name] = array
    return found


def check_shown(strategy: LossStrategy, engine: StepEngine) -> None:
    """Trace the metrics and the pictures, and create what variables only they use. Raises ``Invalid``."""
    reads, specs = Reads.one(engine.source), specs_of(engine.state)
    survey_each(strategy.metrics, engine.nets, reads, "evaluation", specs)
    survey(strategy.pictures, engine.nets, reads, "pictures", specs)
    for name, net in engine.nets.items():
        require(net.variables or isinstance(net, Teacher), f"net {name}", "no variables", "used by a loss, or left out")


def check_ranges(strategy: LossStrategy, engine: StepEngine) -> None:
    """Raises ``Invalid`` for data outside of what the strategy declares: the next batch, and whole keys of integers."""
    read = {name for step in engine.steps.values() for name in step.inputs.reads.sources}
    for name, source in engine.sources.items():
        if name not in read or not any(key in strategy.ranges for key in source.spec):
            continue
        for key, values in first_batch(engine, name).items():
            low, high = strategy.ranges.get(key, (-np.inf, np.inf))
            held = [values.min(), values.max()]
            if values.dtype.kind in "iu" and key in source.spec:
                held += source.range_of(key) or ()
            for value in held:
                rule = f"from {low:g} to {high:g}, where {type(strategy).__name__} holds: scale it in the transform"
                require(low - ROUNDING <= value <= high + ROUNDING, f"{key} of a batch", value, rule)


def check_precision(precision: str, nets: Mapping[str, Any]) -> None:
    """Raises ``Invalid`` unless every net was made under the Keras policy of ``precision``."""
    require(precision in POLICIES, "precision", precision, f"one of {', '.join(POLICIES)}")
    for name, net in nets.items():
        require(net.dtype_policy.name == POLICIES[precision], "precision", precision,
                f"that of the nets: net {name} has the policy {net.dtype_policy.name}; "
                "call engine.prepare(precision=...) before making nets")


def check_traces(engine: StepEngine) -> list[str]:
    """Warnings, the sources' notes among them. Raises ``Invalid`` for a net that a phase should move and does not."""
    warnings = [f"{f'data {name}' if len(engine.sources) > 1 else 'data'}: {note}"
                for name, source in engine.sources.items() for note in source.notes]
    reached = {id(v) for part in engine.parts.values() for v in part.compute.variables}
    for phase in engine.phases:
        traced = engine.parts[phase.name].compute.traced
        lost = {id(v) for v in traced.without_gradient}
        if traced.single:
            warnings.append(f"phase {phase.name}: a normalisation takes the mean of a single value, which leaves "
                            "nothing of its input: use larger batches, or layer normalisation")
        for name in phase.updates:
            net = engine.nets[name]
            mine = net.trainable_variables
            require(mine, f"updates of phase {phase.name}", name, "a net with trainable variables: this one has none")
            require(any(id(v) not in lost for v in mine), f"updates of phase {phase.name}", name,
                    "a net that the loss depends on: none of its variables gets a gradient")
            missing = [v.path for v in mine if id(v) in lost - reached]
            if missing:
                warnings.append(f"phase {phase.name}: no gradient reaches {', '.join(missing)} of net {name}: "
                                "let the loss use them, or set their trainable to False")
            statistics = {id(v) for v in net.non_trainable_variables}
            if traced.inner_gradient and any(id(v) in statistics for v in traced.assigned):
                warnings.append(
                    f"phase {phase.name}: net {name} uses batch normalisation under a gradient penalty, which makes "
                    "the penalty of one example depend on the others; use layer normalisation (Gulrajani et al. 2017)")
    return warnings
