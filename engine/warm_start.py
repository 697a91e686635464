"""Warm start: weights of another run, or of a file, at the start of this one; and layers that stay as they are."""

import fnmatch
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from engine.cycle.average import Teacher
from engine.errors import Invalid, require
from engine.opened import Run, open_run
from engine.trainer import Trainer

MOST = 4  # names that are told
H5 = ".weights.h5"


@dataclass(frozen=True)
class Fitted:
    """What a warm start took over.

    Attributes:
      taken: Variables that have the other's values.
      left: Variables that keep their own, each with its reason.
    """

    taken: tuple[str, ...]
    left: tuple[str, ...]

    def __str__(self) -> str:
        more = f", and {len(self.left) - MOST} more" if len(self.left) > MOST else ""
        kept = f"; kept as they are: {'; '.join(self.left[:MOST])}{more}" if self.left else ""
        return f"{len(self.taken)} of {len(self.taken) + len(self.left)} variables taken over{kept}"


def warm_start(trainer: Trainer, source: Path | str | Run, net: str | None = None) -> Fitted:
    """Give the nets of ``trainer``, before its first update, the weights of a run or of a Keras weights file.

    Of a run the weights that evaluation uses. Nets are matched by name, and one net with one net; their variables by
    place. A variable of another shape, as a last layer for other classes, keeps its own values.

    Args:
      trainer: Trainer whose run has not begun.
      source: A run, its folder, or a file that ends in .weights.h5.
      net: One of the nets of ``trainer``; None for all that the source has.

    Raises:
      Invalid: A run that has begun, a source that is none, or in which nothing fits.
    """
    require(trainer.counters.cycles == 0, "warm_start", f"at cycle {trainer.counters.cycles}",
            "before the first update: a run that is continued has its own weights")
    ours = {name: each for name, each in trainer.nets.items() if not isinstance(each, Teacher) and net in (None, name)}
    require(ours, "net", net, f"one of {', '.join(trainer.nets)}")
    if not isinstance(source, Run) and str(source).endswith(H5):
        require(len(ours) == 1, "net", net, f"named for a file of weights: one of {', '.join(ours)}")
        (name, own), = ours.items()
        fitted = _of_file(name, own, Path(source))
    else:
        fitted = _of_run(ours, source if isinstance(source, Run) else open_run(source))
    require(fitted.taken, "init", source.folder if isinstance(source, Run) else source,
            f"of nets like these; nothing fits: {'; '.join(fitted.left[:MOST])}")
    trainer.engine.restart_averages()
    return fitted


def freeze(nets: dict[str, keras.Model], patterns: Sequence[str]) -> list[str]:
    """Keep layers as they are: those whose place in a net, as "vae.encoder_hidden", a pattern matches. Returns them.

    Call it before the ``Trainer`` is made. A frozen batch normalisation uses its statistics and does not move them.

    Args:
      nets: {name: net}.
      patterns: Patterns of places, with * and ?; that of a layer means all layers in it.

    Raises:
      Invalid: A pattern that matches nothing.
    """
    places = {place: layer for name, net in nets.items() for place, layer in _layers(name, net)}
    frozen = []
    for pattern in patterns:
        found = [place for place in places if fnmatch.fnmatchcase(place, pattern)]
        require(found, "freeze", pattern, f"a pattern of layers; there are {', '.join(places)}")
        frozen += found
    for place in frozen:
        places[place].trainable = False
    return list(dict.fromkeys(frozen))


def _layers(place: str, holder: Any) -> Iterator[tuple[str, Any]]:
    """The layers of a net by their attributes, as "vae.blocks.0.conv1"."""
    held = (list(enumerate(holder.layers)) if isinstance(holder, keras.Sequential) else
            list(enumerate(holder)) if isinstance(holder, list | tuple) else
            [(name, each) for name, each in vars(holder).items() if not name.startswith("_")])
    for name, each in held:
        inside = f"{place}.{name}"
        if isinstance(each, keras.layers.Layer):
            yield inside, each
            yield from _layers(inside, each)
        elif isinstance(each, list | tuple):
            yield from _layers(inside, each)


def _of_run(ours: dict[str, Any], run: Run) -> Fitted:
    theirs = {name: net for name, net in run.nets.items() if isinstance(net, keras.Model)}
    if len(ours) == len(theirs) == 1:
        pairs = {name: (own, next(iter(theirs.values()))) for name, own in ours.items()}
    else:
        pairs = {name: (own, theirs[name]) for name, own in ours.items() if name in theirs}
    require(pairs, "init", run.folder, f"of nets of the same names, {', '.join(ours)}; it has {', '.join(theirs)}")
    taken, left = [], [f"net {name} is not in {run.folder}" for name in ours if name not in pairs]
    for name, (own, other) in pairs.items():
        kinds = [[variable.name for variable in each.weights] for each in (own, other)]
        require(kinds[0] == kinds[1], "init", run.folder,
                f"of a net like {name} ({type(own).__name__}): {type(other).__name__} has other variables, "
                f"{len(kinds[1])} and not {len(kinds[0])}")
        for place, (mine, its) in enumerate(zip(own.weights, other.weights, strict=True)):
            label = f"{name}/{place:03d}.{mine.name}"
            if tuple(mine.shape) == tuple(its.shape):
                mine.assign(its)
                taken.append(label)
            else:
                left.append(f"{label} {list(mine.shape)} is {list(its.shape)} there")
    return Fitted(tuple(taken), tuple(left))


def _of_file(name: str, net: keras.Model, path: Path) -> Fitted:
    require(path.is_file(), "init", path, "a file that exists")
    before = [variable.numpy() for variable in net.weights]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what does not fit is told below
            for variable, values in zip(net.weights, before, strict=True):
                variable.assign(np.full_like(values, 123 if values.dtype.kind in "iu" else np.nan))
            net.load_weights(path, skip_mismatch=True)
    except Exception as error:
        for variable, values in zip(net.weights, before, strict=True):
            variable.assign(values)
        raise Invalid(f"`init` ({path}) must be a file of weights of {type(net).__name__}: "
                      f"{str(error).strip().splitlines()[0]}") from None
    taken, left = [], []
    for place, (variable, values) in enumerate(zip(net.weights, before, strict=True)):
        label, now = f"{name}/{place:03d}.{variable.name}", variable.numpy()
        untouched = (now == 123).all() if now.dtype.kind in "iu" else np.isnan(now).all()
        if untouched and now.size:
            variable.assign(values)
            left.append(f"{label} {list(variable.shape)} is not there, or of another shape")
        else:
            taken.append(label)
    return Fitted(tuple(taken), tuple(left))
