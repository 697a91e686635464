"""What a script found, in one line: data, where they lie, what is left out, classes, parts, nets."""

from collections.abc import Sequence
from typing import Any

MOST = 6  # names of classes or features that are told


def line(dataset: Any, job: Any) -> str:
    """For people, before the training begins."""
    from engine.run.cost import parameters

    nets = ", ".join(f"{name} ({type(net).__name__}) of {parameters(net):,} parameters"
                     for name, net in job.nets.items())
    return "; ".join([_data(dataset, job), *_left_out(dataset), *_unknown(dataset), nets])


def _data(dataset: Any, job: Any) -> str:
    held = [f"{job.held_out.size:,} held out",
            *(f"{source.size:,} for the {part}" for part, source in job.at_end.items())]
    place = f" ({dataset.place})" if dataset.place else ""
    classes = f"{_listed('class', dataset.classes)}, " if dataset.classes else ""
    columns = f"{_listed('feature', dataset.columns.names)}, " if hasattr(dataset, "columns") else ""
    return f"data {dataset.name}{place}: {classes}{columns}{job.train.size:,} examples to train on, {', '.join(held)}"


def _listed(what: str, names: Sequence[str]) -> str:
    more = ", …" if len(names) > MOST else ""
    plural = ("es" if what.endswith("s") else "s") * (len(names) > 1)
    return f"{len(names)} {what}{plural} ({', '.join(names[:MOST])}{more})"


def _left_out(dataset: Any) -> list[str]:
    found = [f"{count} {ending}" for ending, count in sorted(getattr(dataset, "left_out", {}).items())]
    bad = len(getattr(dataset, "skipped", ()))
    return [f"left out: {', '.join(found + [f'{bad} bad'] * bool(bad))}"] if found or bad else []


def _unknown(dataset: Any) -> list[str]:
    unknown = getattr(dataset, "unknown", 0.0)
    return [f"{unknown:.1%} of the words held out are unknown"] if unknown > 0 else []
