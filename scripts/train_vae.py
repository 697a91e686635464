"""Train a variational autoencoder and look at its reconstructions and samples.

  python scripts/train_vae.py                             the shipped 10 000 images, about half a minute
  python scripts/train_vae.py --dataset fashion-mnist --epochs 20
  python scripts/train_vae.py --samples 5                 the importance-weighted bound of 5 samples (IWAE)
  python scripts/train_vae.py --net conv-vae --dataset image-folder --data-dir photos --latent-dim 64

The run's folder then holds report.html, metrics.csv, pictures, checkpoints and TensorBoard events. The same
command again continues the run; with more --epochs it trains on.
"""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import cli
import groups
import wiring
from data_options import Images
from fields import option
from rules import natural, weight, whole

NETS = ("dense-vae", "conv-vae")


@dataclasses.dataclass(frozen=True)
class Net(groups.Net):
    """Which net."""

    net: str = groups.which_net(NETS)


@dataclasses.dataclass(frozen=True)
class Training:
    """What is minimised, and how."""

    TITLE: ClassVar[str] = "training"
    latent_dim: int = option(20, "latent dimensions", whole)
    samples: int = option(1, "of the posterior per image; above 1 for the importance-weighted bound", whole)
    beta: float = option(1.0, "weight of the KL term (default: 1, the bound itself)", weight)
    anneal: int = option(0, "updates over which the KL weight rises from 0 to beta", natural)
    free_bits: float = option(0.0, "nats per latent dimension below which the KL term gives no gradient", weight)
    learning_rate: float = groups.learning_rate(1e-3)
    average: float = groups.average(0.0)


@dataclasses.dataclass(frozen=True)
class Options(groups.TrainOptions):
    """Of this script."""

    SCRIPT: ClassVar[str] = "train_vae"
    data: Images = Images()
    net: Net = Net()
    training: Training = Training()
    run: groups.Run = groups.Run(epochs=20.0, run_dir=Path("runs/vae"))


def job(chosen: Options, dataset: Any) -> wiring.Job:
    import keras

    from engine import Update
    from engine.data.augment import scale

    net = wiring.make_net(chosen, latent_dim=chosen.training.latent_dim, image_shape=dataset.image_shape)
    return wiring.Job(
        _strategy(chosen.training), {"vae": net},
        Update(keras.optimizers.Adam(chosen.training.learning_rate), average=chosen.training.average or None),
        dataset.source("train", chosen.run.batch_size, chosen.run.seed, scale, names=("image",)),
        dataset.source("test", 500, transform=scale, names=("image",)))


def _strategy(chosen: Training) -> Any:
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
    raise SystemExit(wiring.run(cli.Command(Options(), __doc__, files=True).parse(), job))
