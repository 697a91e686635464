"""What makes two runs the same run: what config.json holds beside the user's own."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.cycle.update import Update
from engine.data.source import Source
from engine.run.fingerprint import of_strategy, of_update, of_value
from engine.strategy import LossStrategy, Phase


def identity_of(strategy: LossStrategy, phases: Sequence[Phase], updates: Mapping[str, Update],
                sources: Mapping[str, Source], **more: Any) -> dict[str, Any]:
    """As JSON values; ``more`` stands first."""
    facts = {**more, "batch_size": _one({name: source.batch_size for name, source in sources.items()}),
             "examples": _one({name: source.size for name, source in sources.items()}),
             "repeats": {phase.name: phase.repeats for phase in phases},
             "accumulate": {name: update.accumulate for name, update in updates.items()},
             "updates": {name: of_update(update) for name, update in updates.items()},
             "weights": {phase.name: of_value(dict(phase.weights)) for phase in phases if phase.weights},
             "strategy": of_strategy(strategy)}
    if every := {phase.name: phase.every for phase in phases if phase.every > 1}:
        facts["every"] = every
    if buckets := {name: [{key: list(spec.shape[1:]) for key, spec in specs.items()} for specs in source.buckets]
                   for name, source in sources.items() if source.buckets}:
        facts["buckets"] = buckets
    return facts


def _one(by_source: dict[str, int]) -> Any:
    """The number itself if there is one source."""
    return by_source if len(by_source) > 1 else next(iter(by_source.values()))
