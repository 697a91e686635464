"""open_run: a run's nets, metrics, history and configuration, from its folder alone."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine.cycle.update import Update
from engine.data.image_file import Form
from engine.data.source import ArraySource, Source, Transform
from engine.data.unlabelled import pictures as read_pictures
from engine.errors import Invalid, require
from engine.reporting.record import Record
from engine.reporting.rich import named
from engine.reporting.writer import History
from engine.run import checkpoint
from engine.run.described import NotDescribed
from engine.run.durable import read_json
from engine.run.environment import POLICIES
from engine.run.facts import place_of
from engine.run.parts import HELD_OUT, remade, stand_in
from engine.run.state import variables_of
from engine.serving import Entry, Served, entry_of
from engine.strategy import Loss, LossStrategy
from engine.trainer import Trainer, to_standard_error

AT_ONCE = 256  # examples in a batch of ``predict``
TENSORS = ("nets/", "averages/", "state/")  # what is looked at; the rest is for training on


def open_run(folder: Path | str, checkpoint: str | int = "newest", *, strategy: LossStrategy | None = None,
             nets: Mapping[str, Any] | None = None, transform: Transform | None = None,
             say: Callable[[str], None] = to_standard_error) -> "Run":
    """Open the run in ``folder``, to look at and to use; nothing in the folder is changed.

    Args:
      folder: Folder of a run, of a script or of a ``Trainer`` with a ``run_dir``.
      checkpoint: "newest", "best" (by the goal), or its cycle.
      strategy: Strategy in place of the recorded one; needed where that is of a class that is not imported, or was made
        of what cannot be written down.
      nets: {name: net, freshly made}, in the same way.
      transform: What evaluation does to a batch, in the same way.
      say: Function that takes lines for people: which checkpoints are damaged.

    Raises:
      Invalid: One line, for a folder that is no run's, a checkpoint that is not there, or what must be given.
    """
    folder = Path(folder)
    config, parts = _read(folder, "config.json"), _read(folder, "parts.json")
    precision = config.get("precision", "float32")
    require(precision in POLICIES, "precision of config.json", precision, f"one of {', '.join(POLICIES)}")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])  # the nets are made under it
    try:
        return Run(folder, config, _checked(parts, folder), strategy, nets or {}, transform, checkpoint, say)
    finally:
        keras.config.set_dtype_policy(before)


class Run:
    """A run that was opened: its nets hold the weights that evaluation uses, moving averages where there are any.

    Attributes:
      folder: Folder where it lies.
      config: What makes it this run, as JSON values.
      classes: Names of the labels 0, 1, ...; empty if it recorded none.
      nets: {name: net}.
      strategy: What it minimised.
      cycle: Cycle of the checkpoint that is read.
      history: What was recorded, up to the end of the run.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], parts: Mapping[str, Any],
                 strategy: LossStrategy | None, nets: Mapping[str, Any], transform: Transform | None,
                 at: str | int, say: Callable[[str], None]) -> None:
        self.folder, self.config, self._say = folder, config, say
        self.classes = tuple(config.get("classes", ()))
        self._path, manifest = self._found(at)
        sources = dict(parts["sources"])
        held_out = sources.pop(HELD_OUT, None)
        first = next(iter(sources.values()))
        self._form = (held_out or first)["form"]
        self._transform = transform or (_made(held_out["transform"], "transform", folder) if held_out else None)
        made = {name: nets[name] if name in nets else _made(part, f"nets={{{name!r}: ...}}", folder)
                for name, part in parts["nets"].items()}
        self.strategy = strategy or _made(parts["strategy"], "strategy", folder)
        data = {name: stand_in(part, self._transform or _made(part["transform"], "transform", folder))
                for name, part in sources.items()}
        averaged = {name.split("/")[1] for name in manifest["variables"] if name.startswith("averages/")}
        updates = {phase.name: Update(keras.optimizers.SGD(0.0), average=0.5 if phase.name in averaged else None)
                   for phase in self.strategy.phases()}
        self._trainer = Trainer(self.strategy, made, updates, data, plan=manifest["plan"],
                                seed=int(config.get("seed", 0)), say=lambda line: None,
                                precision=str(config.get("precision", "float32")))
        self.nets = dict(self._trainer.nets)
        self._load(manifest)

    def __repr__(self) -> str:
        nets = ", ".join(f"{name} ({type(net).__name__})" for name, net in self.nets.items())
        return f"Run({str(self.folder)!r} at cycle {self.cycle}: {type(self.strategy).__name__} of {nets})"

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        return named(repr(self), self.history)

    @property
    def history(self) -> History:
        """What was recorded."""
        record = Record.load(self.folder)
        metrics = record.summary.get("metrics")
        return History(record.columns, metrics if isinstance(metrics, Mapping) else {})

    def checkpoint(self, at: str | int) -> "Run":
        """The same run with the weights of another checkpoint: "newest", "best" or its cycle."""
        self._path, manifest = self._found(at)
        self._load(manifest)
        return self

    def predict(self, data: Any, net: str | None = None, batch_size: int = AT_ONCE) -> np.ndarray:
        """The outputs of a net, in the order of the examples: logits of a classifier.

        Args:
          data: An array [N, ...] of what the net reads, as the run's data are stored (pictures uint8): evaluation's
            transform is applied; {name: array} with that array in it; a ``Source``; or a list of picture files.
          net: Name of the net; need not be named if there is one.
          batch_size: Examples at once.
        """
        name = net or next(iter(self.nets))
        require(name in self.nets, "net", name, f"one of {', '.join(self.nets)}")
        require(net or len(self.nets) == 1, "net", None, f"named, of {', '.join(self.nets)}")
        entry = self._entry(name)
        source = data if isinstance(data, Source) else self._source(data, entry, batch_size)
        return self.examples(lambda nets, batch, noise: {"output": nets[name](batch[entry.key], training=False)},
                             source)["output"]

    def served(self, net: str) -> tuple[keras.Model, keras.InputSpec]:
        """Transform and net as one Keras model, of data as they are stored; and the form of its input."""
        entry = self._entry(net)
        spec = keras.InputSpec(shape=(None, *entry.shape), dtype=entry.dtype, name=entry.key)
        return Served.of(self.nets[net], entry), spec

    def examples(self, function: Loss, source: Source) -> dict[str, np.ndarray]:
        """``function(nets, batch, noise) -> {name: [B, ...]}`` for every example of ``source``, in order."""
        return self._trainer.examples(function, source)

    def evaluate(self, source: Source) -> dict[str, float]:
        """The strategy's metrics on ``source``, averaged over exactly its examples."""
        return self._trainer.evaluate(source)

    def pictures(self, count: int, source: Source | None = None) -> dict[str, np.ndarray]:
        """The strategy's pictures {name: [n, h, w, c] in [0, 1]} for the first ``count`` examples of ``source``.

        Without a source those that read no example, as samples of a generator.
        """
        if source is None:
            reads_none = [phase for phase in self.strategy.phases() if phase.reads is None]
            require(reads_none, "source", None, "given: the pictures are of examples")
            source = self.source({key: np.zeros([count, *(side or 1 for side in shape)], dtype)
                                  for key, (dtype, *shape) in self._form.items()})
        return self._trainer.pictures(count, source)

    def source(self, arrays: Mapping[str, np.ndarray], batch_size: int = AT_ONCE) -> ArraySource:
        """A source of ``arrays``, as the run's data are stored, with evaluation's transform."""
        return _of_arrays(arrays, batch_size, self._transform or self._refuse())

    def _entry(self, net: str) -> Entry:
        entry = entry_of(self.nets[net], self._form, self._transform)
        return entry or self._refuse()

    def _refuse(self) -> Any:
        raise Invalid(f"`transform` (not given) must be given, open_run({str(self.folder)!r}, transform=...): the run "
                      "held nothing out that would say it")

    def _source(self, data: Any, entry: Entry, batch_size: int) -> ArraySource:
        key = entry.key
        if isinstance(data, str | Path) or (isinstance(data, Sequence) and data and isinstance(data[0], str | Path)):
            data = self._pictures_of([Path(each) for each in ([data] if isinstance(data, str | Path) else data)], entry)
        arrays = dict(data) if isinstance(data, Mapping) else {key: np.asarray(data)}
        require(key in arrays, "data", ", ".join(map(str, arrays)), f"with the key {key}, which the run reads")
        dtype, shape = entry.dtype, entry.shape
        fits = arrays[key].ndim == len(shape) + 1 and all(
            wanted in (None, side) for wanted, side in zip(shape, arrays[key].shape[1:], strict=True))
        require(fits, key, f"{arrays[key].dtype.name} {list(arrays[key].shape)}", f"{dtype} [N, "
                f"{', '.join('any' if side is None else str(side) for side in shape)}], as the run's data are stored")
        require(arrays[key].dtype.name == dtype, key, arrays[key].dtype.name, f"{dtype}, as the run's data are stored")
        return _of_arrays({key: arrays[key]}, batch_size, entry.transform)

    def _pictures_of(self, paths: Sequence[Path], entry: Entry) -> np.ndarray:
        shape = entry.shape
        require(len(shape) == 3, "data", f"{len(paths)} files", f"arrays of {entry.key}: the net reads no pictures")
        height, width, channels = (int(side or 0) for side in shape)
        form = Form((height, width), channels, str(self.config.get("fit") or "crop"))
        store, good, faults = read_pictures(list(paths), form)
        require(not faults, "data", "; ".join(faults), "pictures that can be read")
        return store.read(np.array(good))

    def _found(self, at: str | int) -> tuple[Path, dict[str, Any]]:
        """A good checkpoint and its manifest."""
        folder = self.folder / "checkpoints"
        path = checkpoint.newest(folder, lambda line: self._say(f"warning: {line}"))
        if path is None:
            raise Invalid(f"`run_dir` ({self.folder}) must be a run with a good checkpoint: there is none in its "
                          "folder checkpoints")
        if at != "newest":
            cycle: Any = checkpoint.manifest_of(path)["best"].get("cycle") if at == "best" else at
            require(cycle is not None, "checkpoint", at, "of a run with a goal: this one has none")
            kept = {checkpoint.cycle_of(each): each for each in checkpoint.listed(folder)}
            require(cycle in kept, "checkpoint", at, '"newest", "best", or one of the cycles that are kept: '
                    + ", ".join(map(str, sorted(kept))))
            fault = checkpoint.fault_of(kept[cycle])
            require(not fault, "checkpoint", kept[cycle], f"whole: {fault}")
            path = kept[cycle]
        return path, checkpoint.manifest_of(path)

    def _load(self, manifest: Mapping[str, Any]) -> None:
        """Weights, averages and the strategy's state; then the averages in the place of the weights."""
        engine = self._trainer.engine
        variables = {name: variable for name, variable in variables_of(engine).items() if name.startswith(TENSORS)}
        there = {name: form for name, form in manifest["variables"].items() if name.startswith(TENSORS)}
        shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
        kept = {name: tuple(shape) for name, (shape, _) in there.items()}
        differ = [name for name in sorted({*shapes, *kept}) if shapes.get(name) != kept.get(name)]
        require(not differ, "nets", ", ".join(differ[:4]), f"of the shapes that are in the checkpoint {self._path}")
        state = checkpoint.state_of(self._path, manifest)
        for name, variable in variables.items():
            variable.assign(state[name])
        for variable, average in engine.averages:
            variable.assign(tf.cast(tf.convert_to_tensor(average), variable.dtype))
        engine.place = place_of(dict(manifest))
        self.cycle = checkpoint.cycle_of(self._path)


def _of_arrays(arrays: Mapping[str, np.ndarray], batch_size: int, transform: Transform) -> ArraySource:
    length = len(next(iter(arrays.values())))
    require(length > 0, "data", "no examples", "at least one example")
    return ArraySource(arrays, min(batch_size, length), transform=transform)


def _checked(parts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """``parts`` as a run writes them. Raises ``Invalid``."""
    sources = parts.get("sources")
    good = isinstance(sources, dict) and sources and all(
        isinstance(each, dict) and {"batch_size", "form", "transform"} <= set(each) and isinstance(each["form"], dict)
        for each in sources.values())
    require(good and "strategy" in parts and isinstance(parts.get("nets"), dict), "parts.json", folder / "parts.json",
            "what a run writes")
    return parts


def _made(part: Any, what: str, folder: Path) -> Any:
    try:
        return remade(part)
    except NotDescribed as reason:
        raise Invalid(f"`{what.partition('=')[0]}` (not given) must be given, open_run({str(folder)!r}, {what}"
                      f"{'' if '=' in what else '=...'}): the run has {reason}") from None


def _read(folder: Path, name: str) -> dict[str, Any]:
    require(folder.is_dir(), "folder", folder, "the folder of a run: there is no such folder")
    require((folder / name).is_file(), "folder", folder, f"the folder of a run: it has no {name}")
    try:
        return read_json(folder / name)
    except ValueError:
        raise Invalid(f"`folder` ({folder}) must be the folder of a run: its {name} is damaged; training on makes it "
                      "anew") from None
