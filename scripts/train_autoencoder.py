"""Train an autoencoder and look at its reconstructions, each beside its original.

  python scripts/train_autoencoder.py                     the shipped 10 000 images, about a minute
  python scripts/train_autoencoder.py --net conv-autoencoder --dataset cifar10 --latent-dim 128
  python scripts/train_autoencoder.py --dataset image-folder --data-dir photos --image-size 64 --latent-dim 256

The run's folder then holds report.html, metrics.csv, pictures, checkpoints and TensorBoard events. The same
command again continues the run; with more --epochs it trains on.
"""

import argparse
from typing import Any

import cli
import wiring

NETS = ("dense-autoencoder", "conv-autoencoder")


def options() -> cli.Parser:
    parser = cli.parser(__doc__ or "", run_dir="runs/autoencoder", epochs=20, batch_size=128, learning_rate=1e-3)
    cli.add_net(parser, NETS)
    model = parser.add_argument_group("training")
    model.add_argument("--latent-dim", type=cli.whole, default=20, help="dimensions of the code (default: %(default)s)")
    model.add_argument("--error", choices=("squared", "bernoulli"), default="squared", help="what is minimised: the "
                       "mean squared error of the pixels, or their cross-entropy in nats per image; both are "
                       "evaluated (default: %(default)s)")
    model.add_argument("--average", type=cli.share, default=0.0, help="decay of a moving average of the weights for "
                       "evaluation, 0 for none (default: %(default)s)")
    return parser


def job(chosen: argparse.Namespace, dataset: Any) -> wiring.Job:
    import keras

    from engine import Update
    from engine.data.augment import scale
    from losses.strategies import Autoencoder

    train = dataset.source("train", chosen.batch_size, chosen.seed, scale, names=("image",))
    held_out = dataset.source("test", 500, transform=scale, names=("image",))
    net = wiring.make_net(chosen, latent_dim=chosen.latent_dim, image_shape=dataset.image_shape)
    update = Update(keras.optimizers.Adam(chosen.learning_rate), average=chosen.average or None)
    return wiring.Job(Autoencoder(chosen.error), {"autoencoder": net}, update, train, held_out)


if __name__ == "__main__":
    raise SystemExit(wiring.run(options().parse_args(), job))
