"""Which sources a phase reads."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.data.source import Source, Specs
from engine.errors import require
from engine.strategy import SAME, Phase


@dataclass(frozen=True)
class Reads:
    """Which sources a function reads.

    Attributes:
      sources: Sources that it reads, by name.
      examples: Examples of a batch of the first of them, B; of a function that reads none, of the run's first source.
      nested: Whether its batch is {source: batch}.
      again: Whether it reads what the phase before has read.
      at: Number of the bucket, of each source that has several; the longest of those not named.
    """

    sources: Mapping[str, Source]
    examples: int
    nested: bool = False
    again: bool = False
    at: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def one(cls, source: Source) -> "Reads":
        """A single source."""
        return cls({"": source}, source.batch_size)

    @property
    def sizes(self) -> dict[str, int]:
        """Examples of a batch, by source."""
        return {name: source.batch_size for name, source in self.sources.items()}

    @property
    def bucketed(self) -> dict[str, int]:
        """Number of buckets, of each source that has them."""
        return {name: len(source.buckets) for name, source in self.sources.items() if source.buckets}

    @property
    def in_each_bucket(self) -> list["Reads"]:
        """The same at each combination of its sources' buckets, that of the longest last; itself if there are none."""
        places = itertools.product(*map(range, self.bucketed.values()))
        return [replace(self, at=dict(zip(self.bucketed, place, strict=True))) for place in places]

    def specs(self, name: str) -> Specs:
        """The form of a batch of a source, as its transform gets it."""
        source = self.sources[name]
        return source.buckets[self.at.get(name, -1)] if source.buckets else source.spec

    @property
    def bucket(self) -> str:
        """In words: what has another form in other buckets."""
        return ", ".join(f"{name}{list(spec.shape)}" for source in self.at for name, spec in self.specs(source).items()
                         if len({tuple(each[name].shape) for each in self.sources[source].buckets}) > 1)

    def batch_of(self, batches: Mapping[str, Any]) -> Any:
        """What a loss is handed."""
        return batches if self.nested else next(iter(batches.values()), {})


def reads_of(phases: Sequence[Phase], sources: Mapping[str, Source]) -> list[Reads]:
    """What each phase reads.

    Raises:
      Invalid: An unknown source, or a phase that is to read again what cannot be read twice.
    """
    found: list[Reads] = []
    for phase in phases:
        again = phase.reads == SAME
        if again:
            require(found and found[-1].sources, f"reads of phase {phase.name}", SAME,
                    "after a phase that reads a batch")
            found.append(Reads(found[-1].sources, found[-1].examples, found[-1].nested, again=True))
            for name, source in found[-1].sources.items():
                require(not source.in_sequence, f"reads of phase {phase.name}", SAME,
                        f"of a source that can be read again: {name or 'this one'} is read in one sequence")
        else:
            found.append(_reads(phase, sources))
    return found


def _reads(phase: Phase, sources: Mapping[str, Source]) -> Reads:
    first = next(iter(sources))
    if phase.reads is None:
        return Reads({}, sources[first].batch_size)
    names = [phase.reads or first] if isinstance(phase.reads, str) else list(phase.reads)
    require(names, f"reads of phase {phase.name}", names, "at least one source, or None")
    for name in names:
        require(name in sources, f"reads of phase {phase.name}", name, f"one of {', '.join(sources)}, or \"{SAME}\"")
    require(len(set(names)) == len(names), f"reads of phase {phase.name}", names, "different sources")
    return Reads({name: sources[name] for name in names}, sources[names[0]].batch_size,
                 nested=not isinstance(phase.reads, str))
