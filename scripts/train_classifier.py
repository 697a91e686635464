"""Train an image classifier and look at what it gets wrong.

  python scripts/train_classifier.py                      the shipped 10 000 images, about half a minute
  python scripts/train_classifier.py --dataset fashion-mnist --epochs 5

The run's folder then holds report.html, metrics.csv, pictures, checkpoints and TensorBoard events. The same
command again continues the run; with more --epochs it trains on.
"""

import argparse
from typing import Any

import wiring


def options() -> wiring.Parser:
    parser = wiring.parser(__doc__ or "", run_dir="runs/classifier", epochs=8, batch_size=128, learning_rate=1e-3,
                           plan="graph")
    model = parser.add_argument_group("model")
    model.add_argument("--net", choices=("convnet", "mlp"), default="convnet", help="(default: %(default)s)")
    model.add_argument("--dropout", type=wiring.share, default=0.0, help="(default: %(default)s)")
    model.add_argument("--label-smoothing", type=wiring.share, default=0.0, help="(default: %(default)s)")
    model.add_argument("--flip", action="store_true", help="mirror half of the training images")
    model.add_argument("--shift", type=wiring.natural, default=0, help="move training images by up to so many pixels "
                       "(default: %(default)s)")
    model.add_argument("--average", type=wiring.share, default=0.998, help="decay of a moving average of the weights "
                       "for evaluation, 0 for none (default: %(default)s)")
    return parser


def job(chosen: argparse.Namespace, dataset: Any) -> wiring.Job:
    import keras

    import nets
    from engine import ArraySource, Update
    from engine.data.augment import Chain, Flip, Shift, scale
    from engine.reporting.pictures import mistakes
    from losses.strategies import Supervised

    strategy = Supervised(chosen.label_smoothing)
    augment = [*[Flip()] * chosen.flip, *[Shift(chosen.shift)] * bool(chosen.shift)]
    held_out = ArraySource(dataset.test, min(500, len(dataset.test["label"])), transform=scale)

    def draw(trainer: Any) -> dict[str, Any]:
        logits = trainer.examples(strategy.logits, held_out)["logits"]
        return {"misclassified": mistakes(dataset.test["image"], dataset.test["label"], logits, dataset.classes)}

    return wiring.Job(
        strategy, {"classifier": nets.create(chosen.net, classes=len(dataset.classes), dropout=chosen.dropout)},
        Update(keras.optimizers.Adam(chosen.learning_rate), average=chosen.average or None),
        ArraySource(dataset.train, chosen.batch_size, seed=chosen.seed, transform=Chain(*augment, scale)),
        held_out, draw)


if __name__ == "__main__":
    raise SystemExit(wiring.run(options().parse_args(), job))
