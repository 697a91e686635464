"""The options that all training scripts share, in groups."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from data_options import Data
from fields import option
from rules import (
    Choice,
    fraction,
    natural,
    net_option,
    one_of,
    plan,
    positive,
    power_of_two,
    threads,
    two_or_more,
    weight,
    whole,
)

S = TypeVar("S", bound="TrainOptions")


@dataclasses.dataclass(frozen=True)
class Net:
    """Which net; a script names its own by ``which_net``."""

    TITLE: ClassVar[str] = "net"
    net: str = ""
    init: str | None = option(None, "begin with the weights of another run, or of a file that ends in .weights.h5; "
                              "what has another shape keeps its own, and is told", metavar="RUN|FILE")
    freeze: tuple[str, ...] = option((), "leave layers as they are, by their place in the net, as classifier.blocks.*; "
                                     "may be repeated", nargs="append", metavar="PATTERN")
    net_option: tuple[tuple[str, Any], ...] = option(
        (), "an argument of the net's class, as width=32 or blocks=[2,2]; may be repeated", net_option, nargs="append",
        metavar="NAME=VALUE")


def which_net(names: Sequence[str]) -> Any:
    """The field ``net``; the first of ``names`` is the default."""
    return option(names[0], f"{', '.join(names)}, or a Keras model of yours, module:Class",
                  one_of(names, or_class=True), metavar="NAME")


def learning_rate(default: float | None, more: str = "") -> Any:
    """The field ``learning_rate``."""
    return option(default, f"of the optimizer, per update{more}", positive, speed=False)


def average(default: float, of: str = "weights for evaluation") -> Any:
    """The field ``average``."""
    return option(default, f"decay of a moving average of the {of}, 0 for none", fraction)


def label_smoothing() -> Any:
    """The field ``label_smoothing``."""
    return option(0.0, "fraction of each label that is spread evenly over all classes", fraction)


@dataclasses.dataclass(frozen=True)
class Run:
    """How long, where and how it is computed."""

    TITLE: ClassVar[str] = "run"
    epochs: float = option(10.0, "passes over the training data, counted from the start of the run", positive,
                           exclusive="length", identity=False)
    cycles: int | None = option(None, "length in cycles instead of epochs; a cycle is every phase once", whole,
                                exclusive="length", identity=False)
    batch_size: int = option(128, "examples per batch", whole)
    seed: int = option(0, "of weights, data order and all random draws", natural, speed=False)
    run_dir: Path = option(Path("runs/run"), "folder of the run; one that holds the same run is continued", Path,
                           identity=False)
    plan: str = option("auto", "how the cycle is compiled: graph, halves (the graph of two shards of each batch, side "
                       "by side), xla, one of them for each phase as \"critic=graph generator=xla\", auto for the "
                       "fastest in a trial before the first update, or eager for print and breakpoints in a loss", plan)
    precision: str = option("float32", "compute dtype; variables and losses stay float32; auto: bfloat16 where the CPU "
                            "computes in it and it is measured to be faster",
                            Choice("float32", "bfloat16", "float16", "auto"))
    threads: Any = option("default", "inside one operation: a number, default for TensorFlow's own choice, or auto for "
                          "the faster of that and 1, which is measured once per machine, net and batch size", threads)
    not_deterministic: bool = option(False, "let TensorFlow add in whatever order is ready first: the same run then "
                                     "gives other bits each time", bool)
    reproducible: int | None = option(None, "number of fixed shards of each batch, a power of two: the bits are then "
                                      "the same on 1, 2 and up to as many workers; each shard has batch statistics of "
                                      "its own", power_of_two, metavar="SHARDS", identity=False)
    measure: bool = option(False, "print the speed alone, for auto.py", bool, hidden=True, identity=False)


@dataclasses.dataclass(frozen=True)
class HowOften:
    """When it logs, evaluates and saves, and what is done in the place of a training."""

    TITLE: ClassVar[str] = "how often"
    log_every: int | None = option(None, "cycles per row of metrics.csv (default: 100, or an epoch where that is "
                                   "shorter)", whole, identity=False)
    evaluate_every: float = option(1.0, "epochs between evaluations with pictures", positive, identity=False)
    checkpoint_every: float = option(60.0, "seconds between checkpoints", positive, identity=False)
    profile: int = option(0, "cycles that TensorFlow's profiler traces, after the first 10: a table of where their "
                          "time went, and files for Perfetto and TensorBoard in the folder profile/ of the run",
                          natural, metavar="CYCLES", identity=False)
    histograms: bool = option(False, "weights and gradients as histograms into TensorBoard, at each evaluation", bool,
                              identity=False)
    check: Any = option(False, "try every update without applying it, and report on nets, losses, data, memory, time "
                        "and problems; nothing is written but PICTURE, a PNG file of the first batch, if it is named",
                        Path, nargs="?", metavar="PICTURE", identity=False)
    smoke: bool = option(False, "two cycles of batches of 8 through every event, in a temporary folder", bool,
                         identity=False)


@dataclasses.dataclass(frozen=True)
class Watch:
    """What is done when updates go wrong, or no longer get better."""

    TITLE: ClassVar[str] = "watch"
    on_bad_update: str = option("stop", "when a term or gradient is not finite: stop with exit code 3; skip the "
                                "update, and stop after 10 in a row; go back to the last checkpoint and on after the "
                                "batches read so far, with other draws, at most 3 times",
                                Choice("stop", "skip", "rollback"))
    autopsy: bool = option(False, "when a bad update ends the training: compute it again, and name the operation, "
                           "layer and examples that went wrong first; a run that was stopped is continued to the same "
                           "update", bool, identity=False)
    spike_threshold: float = option(0.0, "an update is bad too when its objective is so many standard deviations "
                                     "above the median of the last 100, 0 for never; 20 is a start", weight)
    goal: str | None = option(None, "a column of metrics.csv, as eval/accuracy: the checkpoint where it was best is "
                              "kept", metavar="METRIC", identity=False)
    better: str | None = option(None, "values of --goal (default: what the metric says of itself)",
                                Choice("lower", "higher"), identity=False)
    patience: float | None = option(None, "epochs after which training ends if --goal got no better", positive,
                                    identity=False)
    keep: int = option(3, "newest checkpoints to keep", two_or_more, identity=False)


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """The options of a training script; each has its own ``data``, ``training`` and, with several nets, ``net``."""

    SCRIPT: ClassVar[str] = ""  # that makes such a run
    data: Data = Data()
    net: Net | None = None
    training: Any = None
    run: Run = Run()
    often: HowOften = HowOften()
    watch: Watch = Watch()

    def resolved(self: S, dataset: Any) -> S:
        """With what hangs on the data filled in: as the run records it."""
        return self
