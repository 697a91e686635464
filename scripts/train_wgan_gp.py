"""Train a WGAN-GP (5 critic updates per generator update, gradient penalty) and look at its samples.

  python scripts/train_wgan_gp.py                         the shipped 10 000 images, about five minutes
  python scripts/train_wgan_gp.py --dataset fashion-mnist --cycles 10000
  python scripts/train_wgan_gp.py --size 64               the 64x64 nets, images resized, grey as RGB; slow on a CPU

The run's folder then holds report.html, metrics.csv, pictures, checkpoints and TensorBoard events. The same
command again continues the run; with more --epochs or --cycles it trains on.
"""

import argparse
from typing import Any

import cli
import wiring


def options() -> cli.Parser:
    parser = cli.parser(__doc__ or "", run_dir="runs/wgan-gp", epochs=60, batch_size=64, learning_rate=5e-4,
                           plan="graph")
    model = parser.add_argument_group("model")
    model.add_argument("--size", type=int, choices=(28, 64), default=28, help="side of the images, pixels (default: "
                       "%(default)s)")
    model.add_argument("--latent-dim", type=cli.whole, default=64, help="latent dimensions (default: %(default)s)")
    model.add_argument("--penalty-weight", type=cli.weight, default=10.0, help="of the gradient penalty (default: "
                       "%(default)s)")
    model.add_argument("--critic-updates", type=cli.whole, default=5, help="per generator update (default: "
                       "%(default)s)")
    model.add_argument("--normalization", choices=("layer", "none", "batch"), default="layer", help="in the critic; "
                       "batch is wrong under a gradient penalty and warned of (default: %(default)s)")
    model.add_argument("--average", type=cli.share, default=0.99, help="decay of a moving average of the "
                       "generator's weights for the samples, 0 for none (default: %(default)s)")
    return parser


def job(chosen: argparse.Namespace, dataset: Any) -> wiring.Job:
    import keras

    import nets
    from engine import ArraySource, Update
    from engine.data.augment import Chain, Resize, rgb, scale
    from losses.strategies import WGANGP

    transform: Any = scale if chosen.size == 28 else Chain(scale, rgb, Resize(chosen.size, chosen.size))
    images = {"image": dataset.train["image"]}
    held_out = {"image": dataset.test["image"]}

    def adam() -> Any:  # betas of Gulrajani et al. 2017, algorithm 1, for few cycles
        return keras.optimizers.Adam(chosen.learning_rate, beta_1=0.5, beta_2=0.9)

    return wiring.Job(
        WGANGP(chosen.latent_dim, chosen.penalty_weight, chosen.critic_updates),
        {"generator": nets.create(f"generator{chosen.size}", latent_dim=chosen.latent_dim),
         "critic": nets.create(f"critic{chosen.size}", normalization=chosen.normalization)},
        {"critic": adam(), "generator": Update(adam(), average=chosen.average or None)},
        ArraySource(images, chosen.batch_size, seed=chosen.seed, transform=transform),
        ArraySource(held_out, min(250, len(held_out["image"])), transform=transform))


if __name__ == "__main__":
    raise SystemExit(wiring.run(options().parse_args(), job))
