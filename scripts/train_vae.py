"""Train a variational autoencoder and look at its reconstructions and samples.

  python scripts/train_vae.py                             the shipped 10 000 images, about half a minute
  python scripts/train_vae.py --dataset fashion-mnist --epochs 20
  python scripts/train_vae.py --samples 5                 the importance-weighted bound of 5 samples (IWAE)
  python scripts/train_vae.py --net conv-vae --dataset image-folder --data-dir photos --latent-dim 64

The run's folder then holds report.html, metrics.csv, pictures, checkpoints and TensorBoard events. The same
command again continues the run; with more --epochs it trains on.
"""

import argparse
from typing import Any

import cli
import wiring

NETS = ("dense-vae", "conv-vae")


def options() -> cli.Parser:
    parser = cli.parser(__doc__ or "", run_dir="runs/vae", epochs=20, batch_size=128, learning_rate=1e-3)
    cli.add_net(parser, NETS)
    model = parser.add_argument_group("training")
    model.add_argument("--latent-dim", type=cli.whole, default=20, help="latent dimensions (default: %(default)s)")
    model.add_argument("--samples", type=cli.whole, default=1, help="of the posterior per image; above 1 for the "
                       "importance-weighted bound (default: %(default)s)")
    model.add_argument("--beta", type=cli.weight, default=1.0, help="weight of the KL term (default: %(default)s, "
                       "the bound itself)")
    model.add_argument("--anneal", type=cli.natural, default=0, help="updates over which the KL weight rises from "
                       "0 to beta (default: %(default)s)")
    model.add_argument("--free-bits", type=cli.weight, default=0.0, help="nats per latent dimension below which "
                       "the KL is not pressed (default: %(default)s)")
    model.add_argument("--average", type=cli.share, default=0.0, help="decay of a moving average of the weights for "
                       "evaluation, 0 for none (default: %(default)s)")
    return parser


def job(chosen: argparse.Namespace, dataset: Any) -> wiring.Job:
    import keras

    from engine import Update
    from engine.data.augment import scale

    net = wiring.make_net(chosen, latent_dim=chosen.latent_dim, image_shape=dataset.image_shape)
    return wiring.Job(
        _strategy(chosen), {"vae": net},
        Update(keras.optimizers.Adam(chosen.learning_rate), average=chosen.average or None),
        dataset.source("train", chosen.batch_size, chosen.seed, scale, names=("image",)),
        dataset.source("test", 500, transform=scale, names=("image",)))


def _strategy(chosen: argparse.Namespace) -> Any:
    import keras

    from engine.errors import require
    from losses.strategies import IWAE, VAE

    if chosen.samples > 1:  # its bound has no KL term of its own
        for name, unused in (("beta", 1), ("anneal", 0), ("free_bits", 0)):
            value = getattr(chosen, name)
            require(value == unused, f"--{name.replace('_', '-')}", value, "left out with --samples above 1")
        return IWAE(chosen.samples)
    beta = chosen.beta
    if chosen.anneal:
        beta = keras.optimizers.schedules.PolynomialDecay(0.0, chosen.anneal, chosen.beta)
    return VAE(beta, chosen.free_bits)


if __name__ == "__main__":
    raise SystemExit(wiring.run(options().parse_args(), job))
