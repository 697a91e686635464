"""Faults found before the first update, each by name and with its remedy."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from engine.cycle.outline import Outline, survey
from engine.cycle.update import Update, as_update
from engine.data.source import Source
from engine.errors import require
from engine.run.environment import POLICIES
from engine.strategy import LossStrategy, NamedNets, Phase


def check_phases(strategy: LossStrategy, nets: Mapping[str, Any]) -> list[Phase]:
    """The strategy's phases. Raises ``Invalid`` for no phases, equal names, unknown nets."""
    phases = list(strategy.phases())
    require(phases, "phases", phases, "at least one phase")
    names = [phase.name for phase in phases]
    require(len(set(names)) == len(names), "phases", names, "of different names")
    for name, net in nets.items():
        require(isinstance(net, keras.Model), f"net {name}", net, "a keras.Model")
    for phase in phases:
        for net in phase.updates:
            require(net in nets, f"updates of phase {phase.name}", net, f"one of the nets {', '.join(nets)}")
    return phases


def check_updates(updates: Any, phases: Sequence[Phase]) -> dict[str, Update]:
    """An ``Update`` for every phase; a lone optimizer will do for a single phase.

    Raises:
      Invalid: for a missing or surplus name, an optimizer used twice, a net averaged by two phases.
    """
    if not isinstance(updates, Mapping) and len(phases) == 1:
        updates = {phases[0].name: updates}
    names = [phase.name for phase in phases]
    require(isinstance(updates, Mapping) and set(updates) == set(names), "updates",
            list(updates) if isinstance(updates, Mapping) else updates, f"one per phase: {', '.join(names)}")
    found = {phase.name: as_update(updates[phase.name]) for phase in phases}
    require(len({id(update.optimizer) for update in found.values()}) == len(found), "updates",
            [update.optimizer.name for update in found.values()], "an optimizer of its own for each phase")
    averaged = [net for phase in phases if found[phase.name].average for net in phase.updates]
    require(len(set(averaged)) == len(averaged), "average", averaged, "set in one phase only for each net")
    return found


def build(strategy: LossStrategy, phases: Sequence[Phase], nets: NamedNets, source: Source) -> None:
    """Create all variables by tracing every loss, the metrics and the pictures; runs nothing."""
    for phase in phases:
        survey(phase.loss, nets, source, phase.name, phase.reads_batch)
    survey(strategy.metrics, nets, source, "evaluation")
    survey(strategy.pictures, nets, source, "pictures")
    for name, net in nets.items():
        require(net.variables, f"net {name}", "no variables", "used by a loss, or left out")


def check_precision(precision: str, nets: Mapping[str, Any]) -> None:
    """Raises ``Invalid`` unless every net was made under the Keras policy of ``precision``."""
    require(precision in POLICIES, "precision", precision, f"one of {', '.join(POLICIES)}")
    for name, net in nets.items():
        require(net.dtype_policy.name == POLICIES[precision], "precision", precision,
                f"that of the nets: net {name} has the policy {net.dtype_policy.name}; "
                "call engine.prepare(precision=...) before making nets")


def check_outlines(phases: Sequence[Phase], nets: Mapping[str, Any], outlines: Mapping[str, Outline]) -> list[str]:
    """Warnings. Raises ``Invalid`` for a net that a phase should move and does not."""
    warnings = []
    for phase in phases:
        outline, lost = outlines[phase.name], {id(v) for v in outlines[phase.name].without_gradient}
        for name in phase.updates:
            mine = nets[name].trainable_variables
            require(mine, f"updates of phase {phase.name}", name, "a net with trainable variables: this one has none")
            missing = [v.path for v in mine if id(v) in lost]
            require(len(missing) < len(mine), f"updates of phase {phase.name}", name,
                    "a net that the loss depends on: none of its variables gets a gradient")
            if missing:
                warnings.append(f"phase {phase.name}: no gradient reaches {', '.join(missing)} of net {name}: "
                                "let the loss use them, or set their trainable to False")
            statistics = {id(v) for v in nets[name].non_trainable_variables}
            if outline.inner_gradient and any(id(v) in statistics for v in outline.buffers):
                warnings.append(
                    f"phase {phase.name}: net {name} uses batch normalisation under a gradient penalty, which makes "
                    "the penalty of one example depend on the others; use layer normalisation (Gulrajani et al. 2017)")
    return warnings
