"""What a script found, before the first update: data, nets, phases and where the run goes, a line each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

MOST = 6  # names of classes or features that are told


def block(dataset: Any, job: Any, trainer: Any, run_dir: Path) -> str:
    """For people, before the training begins."""
    from engine.run.cost import parameters

    nets = ", ".join(f"{name} ({type(net).__name__}), {parameters(net):,} parameters" for name, net in job.nets.items())
    lines = {"data": _data(dataset), "split": _split(job), "left out": _left_out(dataset),
             "words": _unknown(dataset), "nets": nets, "phases": _phases(trainer),
             "run": f"{run_dir}; Ctrl-C saves, and the same command continues"}
    return "\n".join(f"{title:9} {text}" for title, text in lines.items() if text)


def _data(dataset: Any) -> str:
    place = f" ({dataset.place})" if dataset.place else ""
    features = dataset.columns.names if hasattr(dataset, "columns") else ()
    return f"{dataset.name}{place}{_listed('class', dataset.classes)}{_listed('feature', features)}"


def _split(job: Any) -> str:
    held = [f"{job.held_out.size:,} held out",
            *(f"{source.size:,} for the {part}" for part, source in job.at_end.items())]
    return f"{job.train.size:,} examples to train on, {', '.join(held)}"


def _listed(what: str, names: Sequence[str]) -> str:
    more = ", …" if len(names) > MOST else ""
    plural = ("es" if what.endswith("s") else "s") * (len(names) > 1)
    return f": {len(names)} {what}{plural} ({', '.join(names[:MOST])}{more})" if names else ""


def _phases(trainer: Any) -> str:
    updates = {name: part.commit.update.optimizers for name, part in trainer.engine.parts.items()}
    return ", ".join(f"{phase.name}{f' x {phase.repeats}' * (phase.repeats > 1)} by "
                     f"{' and '.join(type(each).__name__ for each in updates[phase.name])}"
                     for phase in trainer.engine.phases)


def _left_out(dataset: Any) -> str:
    found = [f"{count} {ending}" for ending, count in sorted(getattr(dataset, "left_out", {}).items())]
    bad = len(getattr(dataset, "skipped", ()))
    return ", ".join(found + [f"{bad} bad"] * bool(bad))


def _unknown(dataset: Any) -> str:
    unknown = getattr(dataset, "unknown", 0.0)
    return f"{unknown:.1%} of those held out are unknown" if unknown > 0 else ""
