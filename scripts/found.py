"""What a script found, before the first update: data, nets, phases and where the run goes, a line each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

MOST, WIDTH = 6, 80  # names of classes or features that are told, and columns that their line may have
TITLE = 10  # columns


def block(dataset: Any, job: Any, trainer: Any, run_dir: Path, plan: str, bold: bool = False) -> str:
    """For people, before the training begins; ``plan`` is as asked for, ``bold``: titles in a terminal's letters."""
    from engine.run.cost import parameters

    nets = ", ".join(f"{name} ({type(net).__name__}), {parameters(net):,} parameters" for name, net in job.nets.items())
    lines = {"data": _data(dataset), "split": _split(job) + _unknown(dataset) + _left_out(dataset),
             "nets": nets, "phases": _phases(trainer) + _plan(trainer, plan),
             "run": f"{run_dir}; Ctrl-C saves, and the same command continues"}
    begin, end = ("\x1b[1m", "\x1b[0m") if bold else ("", "")
    return "\n".join(f"{begin}{title.ljust(TITLE)}{end}{text}" for title, text in lines.items())


def _data(dataset: Any) -> str:
    place = f" ({dataset.place})" if dataset.place else ""
    features = dataset.columns.names if hasattr(dataset, "columns") else ()
    text = f"{dataset.name}{place}"
    return f"{text}{_listed('class', dataset.classes, len(text))}{_listed('feature', features, len(text))}"


def _split(job: Any) -> str:
    held = [f"{job.held_out.size:,} held out",
            *(f"{source.size:,} for the {part}" for part, source in job.at_end.items())]
    return f"{job.train.size:,} examples to train on, {', '.join(held)}"


def _listed(what: str, names: Sequence[str], before: int) -> str:
    """How many, and the first names: as many as fit after ``before`` letters, in a line that is not too long anyway."""
    if not names:
        return ""
    text = f": {len(names)} {what}{('es' if what.endswith('s') else 's') * (len(names) > 1)}"
    for count in range(min(MOST, len(names)), 0, -1):
        listed = f" ({', '.join(names[:count])}{', …' if len(names) > count else ''})"
        if TITLE + before + len(text + listed) <= WIDTH or TITLE + before + len(text) > WIDTH:
            return text + listed
    return text


def _phases(trainer: Any) -> str:
    updates = {name: part.commit.update.optimizers for name, part in trainer.engine.parts.items()}
    return ", ".join(f"{phase.name}{f' x {phase.repeats}' * (phase.repeats > 1)} by "
                     f"{' and '.join(type(each).__name__ for each in updates[phase.name])}"
                     for phase in trainer.engine.phases)


def _plan(trainer: Any, asked: str) -> str:
    """Nothing of one that is yet to be tried, which the trial tells."""
    if asked == "auto" and not trainer.counters.cycles:
        return ""
    return f"; plan {trainer.engine.plan.name}, as {'the run began' if asked == 'auto' else 'asked'}"


def _left_out(dataset: Any) -> str:
    found = [f"{count} {ending}" for ending, count in sorted(getattr(dataset, "left_out", {}).items())]
    bad = len(getattr(dataset, "skipped", ()))
    found += [f"{bad} bad"] * bool(bad)
    return f"; left out: {', '.join(found)}" * bool(found)


def _unknown(dataset: Any) -> str:
    unknown = getattr(dataset, "unknown", 0.0)
    return f"; {unknown:.1%} of the words held out are unknown" if unknown > 0 else ""
