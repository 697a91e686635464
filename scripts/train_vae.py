"""Train a variational autoencoder and look at its reconstructions and samples.

  python scripts/train_vae.py                             the shipped 10 000 images, about half a minute
  python scripts/train_vae.py --dataset fashion-mnist --epochs 20

The run's folder then holds report.html, metrics.csv, pictures, checkpoints and TensorBoard events. The same
command again continues the run; with more --epochs it trains on.
"""

import argparse
from typing import Any

import cli
import wiring


def options() -> cli.Parser:
    parser = cli.parser(__doc__ or "", run_dir="runs/vae", epochs=20, batch_size=128, learning_rate=1e-3, plan="xla")
    model = parser.add_argument_group("model")
    model.add_argument("--net", choices=("dense-vae", "conv-vae"), default="dense-vae", help="(default: %(default)s)")
    model.add_argument("--latent-dim", type=cli.whole, default=20, help="latent dimensions (default: %(default)s)")
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

    import nets
    from engine import ArraySource, Update
    from engine.data.augment import scale
    from losses.strategies import VAE

    beta = chosen.beta
    if chosen.anneal:
        beta = keras.optimizers.schedules.PolynomialDecay(0.0, chosen.anneal, chosen.beta)
    images = {"image": dataset.train["image"]}
    held_out = {"image": dataset.test["image"]}
    net = nets.create(chosen.net, latent_dim=chosen.latent_dim, image_shape=dataset.train["image"].shape[1:])
    return wiring.Job(
        VAE(beta, chosen.free_bits), {"vae": net},
        Update(keras.optimizers.Adam(chosen.learning_rate), average=chosen.average or None),
        ArraySource(images, chosen.batch_size, seed=chosen.seed, transform=scale),
        ArraySource(held_out, min(500, len(held_out["image"])), transform=scale))


if __name__ == "__main__":
    raise SystemExit(wiring.run(options().parse_args(), job))
