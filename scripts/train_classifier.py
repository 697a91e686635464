"""Train an image classifier and look at what it gets wrong.

  python scripts/train_classifier.py                      the shipped 10 000 images, about half a minute
  python scripts/train_classifier.py --dataset fashion-mnist --epochs 5
  python scripts/train_classifier.py --net resnet18 --dataset cifar10 --flip --shift 4 --precision bfloat16
  python scripts/train_classifier.py --dataset image-folder --data-dir photos --image-size 96 --net googlenet

The run's folder then holds report.html, metrics.csv, pictures, checkpoints and TensorBoard events. The same
command again continues the run; with more --epochs it trains on.
"""

import argparse
import sys
from typing import Any

import cli
import wiring

NETS = ("convnet", "mlp", "branching", "alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "nin", "googlenet", "resnet18",
        "resnet34", "resnet50", "resnet101", "resnet152", "preact-resnet", "residual-stack", "plain-stack", "densenet",
        "densenet121")


def options() -> cli.Parser:
    parser = cli.parser(__doc__ or "", run_dir="runs/classifier", epochs=8, batch_size=128, learning_rate=1e-3)
    cli.add_net(parser, NETS)
    add_training(parser)
    return parser


def add_training(parser: argparse.ArgumentParser) -> None:
    """How a classifier is trained, whatever its net."""
    model = parser.add_argument_group("training")
    model.add_argument("--optimizer", choices=("adam", "sgd"), default="adam", help="sgd has a Nesterov momentum of "
                       "0.9 (default: %(default)s)")
    model.add_argument("--decay", choices=("none", "cosine"), default="none", help="of the learning rate, to 0 at the "
                       "end of --epochs or --cycles (default: %(default)s)")
    model.add_argument("--decay-cycles", type=cli.whole, help="over which --decay goes (default: the length of the run "
                       "when it was begun)")
    model.add_argument("--weight-decay", type=cli.weight, default=0.0, help="decoupled, per unit of learning rate "
                       "(default: %(default)s)")
    model.add_argument("--label-smoothing", type=cli.share, default=0.0, help="(default: %(default)s)")
    model.add_argument("--mixup", type=cli.weight, default=0.0, help="mix examples in shares from Beta(a, a), 0 for "
                       "none (default: %(default)s)")
    model.add_argument("--flip", action="store_true", help="mirror half of the training images")
    model.add_argument("--shift", type=cli.natural, default=0, help="move training images by up to so many pixels "
                       "(default: %(default)s)")
    model.add_argument("--average", type=cli.share, default=0.998, help="decay of a moving average of the weights for "
                       "evaluation, 0 for none (default: %(default)s)")


def job(chosen: argparse.Namespace, dataset: Any) -> wiring.Job:
    from engine import Update
    from engine.data.augment import Chain, Flip, Shift, scale
    from engine.errors import require
    from losses.strategies import Supervised

    require(len(dataset.classes) >= 2, "--dataset", f"{chosen.dataset}, {len(dataset.classes)} class",
            "of 2 classes or more: a class is a subfolder")
    strategy = Supervised(chosen.label_smoothing, chosen.mixup)
    augment = [*[Flip()] * chosen.flip, *[Shift(chosen.shift)] * bool(chosen.shift)]
    train = dataset.source("train", chosen.batch_size, chosen.seed, Chain(*augment, scale))
    parts = [part for part in ("validation", "test") if part in getattr(dataset, "parts", ("test",))]
    held_out, *at_end = [dataset.source(part, 500, transform=scale) for part in parts]
    shape = train.spec["image"].shape[1:]
    net = wiring.make_net(chosen, classes=len(dataset.classes), stem=_stem(shape))

    def draw(trainer: Any) -> dict[str, Any]:
        return pictures(trainer, strategy, held_out, dataset.classes)

    _settle_decay(chosen, wiring.cycles(chosen, train))
    update = Update(_optimizer(chosen), average=chosen.average or None)
    return wiring.Job(strategy, {"classifier": net}, update, train, held_out, draw,
                      at_end={"test": at_end[0]} if at_end else {})


def _stem(shape: Any) -> str | None:
    """Nets with a stem for large images get the one for small images where that is due."""
    return "cifar" if min(shape[:2]) < 64 else "imagenet" if min(shape[:2]) >= 128 else None


def _settle_decay(chosen: argparse.Namespace, cycles: int) -> None:
    """A schedule is part of the run: one that is continued keeps the length of its own."""
    from engine.errors import require

    require(chosen.decay != "none" or not chosen.decay_cycles, "--decay-cycles", chosen.decay_cycles,
            "left out without --decay")
    if chosen.decay == "none":
        return
    chosen.decay_cycles = chosen.decay_cycles or wiring.recorded(chosen.run_dir, "decay_cycles") or cycles
    if chosen.decay_cycles < cycles:
        print(f"warning: --decay {chosen.decay} ends at cycle {chosen.decay_cycles} of {cycles}, and from there on the "
              "learning rate is 0: for a longer one begin another run", file=sys.stderr)


def _optimizer(chosen: argparse.Namespace) -> Any:
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
    raise SystemExit(wiring.run(options().parse_args(), job))
