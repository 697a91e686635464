"""open_run: a run's nets, metrics, history and configuration, from its folder alone."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from engine import recorded
from engine.cycle.update import Update
from engine.data.source import ArraySource, Source, Transform
from engine.errors import require
from engine.recorded import checkpoint_of, made
from engine.reporting.record import Record
from engine.reporting.rich import named
from engine.reporting.writer import History
from engine.run import checkpoint
from engine.run.environment import POLICIES
from engine.run.facts import place_of
from engine.run.parts import HELD_OUT, stand_in
from engine.run.state import variables_of
from engine.serving import Served
from engine.stored import AT_ONCE, Stored
from engine.strategy import Loss, LossStrategy
from engine.trainer import Trainer, to_standard_error

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
    config, parts = recorded.read(folder, "config.json"), recorded.parts_of(folder)
    precision = config.get("precision", "float32")
    require(precision in POLICIES, "precision of config.json", precision, f"one of {', '.join(POLICIES)}")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])  # the nets are made under it
    try:
        return Run(folder, config, parts, strategy, nets or {}, transform, checkpoint, say)
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
        self._path, manifest = checkpoint_of(self.folder, at, self._say)
        sources = dict(parts["sources"])
        held_out = sources.pop(HELD_OUT, None)
        first = next(iter(sources.values()))
        evaluated = transform or (made(held_out["transform"], "transform", folder) if held_out else None)
        self._stored = Stored(folder, (held_out or first)["form"], evaluated, str(config.get("fit") or "crop"))
        own = {name: nets[name] if name in nets else made(part, f"nets={{{name!r}: ...}}", folder)
               for name, part in parts["nets"].items()}
        self.strategy = strategy or made(parts["strategy"], "strategy", folder)
        data = {name: stand_in(part, evaluated or made(part["transform"], "transform", folder))
                for name, part in sources.items()}
        averaged = {name.split("/")[1] for name in manifest["variables"] if name.startswith("averages/")}
        updates = {phase.name: Update(keras.optimizers.SGD(0.0), average=0.5 if phase.name in averaged else None)
                   for phase in self.strategy.phases()}
        self._trainer = Trainer(self.strategy, own, updates, data, plan=manifest["plan"],
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
        self._path, manifest = checkpoint_of(self.folder, at, self._say)
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
        entry = self._stored.entry(self.nets[name])
        source = data if isinstance(data, Source) else self._stored.read(data, entry, batch_size)
        return self.examples(lambda nets, batch, noise: {"output": nets[name](batch[entry.key], training=False)},
                             source)["output"]

    def served(self, net: str) -> tuple[keras.Model, keras.InputSpec]:
        """Transform and net as one Keras model, of data as they are stored; and the form of its input."""
        entry = self._stored.entry(self.nets[net])
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
            source = self._stored.zeros(count)
        return self._trainer.pictures(count, source)

    def source(self, arrays: Mapping[str, np.ndarray], batch_size: int = AT_ONCE) -> ArraySource:
        """A source of ``arrays``, as the run's data are stored, with evaluation's transform."""
        return self._stored.source(arrays, batch_size)

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
