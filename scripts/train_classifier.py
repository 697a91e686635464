"""Train an image classifier and look at what it gets wrong.

  python scripts/train_classifier.py                      the shipped 10 000 images, about half a minute
  python scripts/train_classifier.py --dataset fashion-mnist --epochs 5
  python scripts/train_classifier.py --net resnet18 --dataset cifar10 --flip --shift 4 --precision bfloat16
  python scripts/train_classifier.py --dataset image-folder --data-dir photos --image-size 96 --net googlenet

The run's folder then holds report.html, metrics.csv, pictures, checkpoints and TensorBoard events. The same
command again continues the run; with more --epochs it trains on.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any, ClassVar

import cli
import groups
import wiring
from data_options import Images
from fields import option
from rules import Choice, natural, weight, whole

NETS = ("convnet", "mlp", "branching", "alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "nin", "googlenet", "resnet18",
        "resnet34", "resnet50", "resnet101", "resnet152", "preact-resnet", "residual-stack", "plain-stack", "densenet",
        "densenet121")


@dataclasses.dataclass(frozen=True)
class Net(groups.Net):
    """Which net."""

    net: str = groups.which_net(NETS)


@dataclasses.dataclass(frozen=True)
class Training:
    """What is minimised, and how."""

    TITLE: ClassVar[str] = "training"
    optimizer: str = option("adam", "sgd has a Nesterov momentum of 0.9", Choice("adam", "sgd"))
    learning_rate: float = groups.learning_rate(1e-3)
    decay: str = option("none", "of the learning rate, to 0 at the end of --epochs or --cycles",
                        Choice("none", "cosine"))
    decay_cycles: int | None = option(None, "over which --decay goes (default: the length of the run when it was "
                                      "begun)", whole)
    weight_decay: float = option(0.0, "decoupled, per unit of learning rate", weight)
    label_smoothing: float = groups.label_smoothing()
    mixup: float = option(0.0, "a: mix examples in fractions drawn from Beta(a, a), 0 for none", weight)
    flip: bool = option(False, "mirror half of the training images", bool)
    shift: int = option(0, "move training images by up to so many pixels", natural)
    average: float = groups.average(0.998)

    def settled(self, cycles: int, run_dir: Path) -> "Training":
        """A schedule is part of the run: one that is continued keeps the length of its own."""
        from engine.errors import require

        require(self.decay != "none" or not self.decay_cycles, "--decay-cycles", self.decay_cycles,
                "left out without --decay")
        if self.decay == "none":
            return self
        over = self.decay_cycles or wiring.recorded(run_dir, "decay_cycles") or cycles
        if over < cycles:
            print(f"warning: --decay {self.decay} ends at cycle {over} of {cycles}, and from there on the learning "
                  "rate is 0: for a longer one begin another run", file=sys.stderr)
        return dataclasses.replace(self, decay_cycles=over)


@dataclasses.dataclass(frozen=True)
class Options(groups.TrainOptions):
    """Of this script."""

    SCRIPT: ClassVar[str] = "train_classifier"
    data: Images = Images()
    net: Net = Net()
    training: Training = Training()
    run: groups.Run = groups.Run(epochs=8.0, run_dir=Path("runs/classifier"))

    def resolved(self, dataset: Any) -> "Options":
        """With the length of the schedule."""
        cycles = wiring.cycles(self, dataset)
        return dataclasses.replace(self, training=self.training.settled(cycles, self.run.run_dir))


def job(chosen: groups.TrainOptions, dataset: Any) -> wiring.Job:
    from engine import Update
    from engine.data.augment import Chain, Flip, Shift, scale
    from engine.errors import require
    from losses.strategies import Supervised

    require(len(dataset.classes) >= 2, "--dataset", f"{chosen.data.dataset}, {len(dataset.classes)} class",
            "of 2 classes or more: a class is a subfolder")
    training: Training = chosen.training
    strategy = Supervised(training.label_smoothing, training.mixup)
    augment: list[Any] = [*[Flip()] * training.flip, *[Shift(training.shift)] * bool(training.shift)]
    train = dataset.source("train", chosen.run.batch_size, chosen.run.seed, Chain(*augment, scale))
    parts = [part for part in ("validation", "test") if part in getattr(dataset, "parts", ("test",))]
    held_out, *at_end = [dataset.source(part, 500, transform=scale) for part in parts]
    shape = train.spec["image"].shape[1:]
    net = wiring.make_net(chosen, classes=len(dataset.classes), stem=_stem(shape))

    def draw(trainer: Any) -> dict[str, Any]:
        return pictures(trainer, strategy, held_out, dataset.classes)

    update = Update(_optimizer(training), average=training.average or None)
    return wiring.Job(strategy, {"classifier": net}, update, train, held_out, draw,
                      at_end={"test": at_end[0]} if at_end else {})


def _stem(shape: Any) -> str | None:
    """Nets with a stem for large images get the one for small images where that is due."""
    return "cifar" if min(shape[:2]) < 64 else "imagenet" if min(shape[:2]) >= 128 else None


def _optimizer(chosen: Training) -> Any:
    import keras

    rate: Any = chosen.learning_rate
    if chosen.decay == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, chosen.decay_cycles)
    decay = chosen.weight_decay or None
    if chosen.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=decay)
    return keras.optimizers.Adam(rate, weight_decay=decay)


def pictures(trainer: Any, strategy: Any, held_out: Any, classes: Any) -> dict[str, Any]:
    """The confusion of the held-out examples, and those that the net got most wrong."""
    import numpy as np

    from engine.reporting.confusion import confusion
    from engine.reporting.pictures import mistakes

    found = trainer.examples(strategy.logits, held_out)
    logits, labels, images = (found[name] for name in ("logits", "label", "image"))
    drawn = {"confusion": confusion(labels, logits.argmax(axis=1), classes),
             "misclassified": mistakes(np.round(images * 255).astype("uint8"), labels, logits, classes)}
    return {name: picture for name, picture in drawn.items() if picture is not None}


if __name__ == "__main__":
    raise SystemExit(wiring.run(cli.Command(Options(), __doc__, files=True).parse(), job))
