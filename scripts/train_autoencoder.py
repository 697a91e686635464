"""Train an autoencoder and look at its reconstructions, each beside its original.

  python scripts/train_autoencoder.py                     the shipped 10 000 images, about a minute
  python scripts/train_autoencoder.py --net conv-autoencoder --dataset cifar10 --latent-dim 128
  python scripts/train_autoencoder.py --dataset image-folder --data-dir photos --image-size 64 --latent-dim 256

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
from rules import Choice, whole

NETS = ("dense-autoencoder", "conv-autoencoder")


@dataclasses.dataclass(frozen=True)
class Net(groups.Net):
    """Which net."""

    net: str = groups.which_net(NETS)


@dataclasses.dataclass(frozen=True)
class Training:
    """What is minimised, and how."""

    TITLE: ClassVar[str] = "training"
    latent_dim: int = option(20, "dimensions of the code", whole)
    error: str = option("squared", "what is minimised: the mean squared error of the pixels, or their cross-entropy in "
                        "nats per image; both are evaluated", Choice("squared", "bernoulli"))
    learning_rate: float = groups.learning_rate(1e-3)
    average: float = groups.average(0.0)


@dataclasses.dataclass(frozen=True)
class Options(groups.TrainOptions):
    """Of this script."""

    SCRIPT: ClassVar[str] = "train_autoencoder"
    data: Images = Images()
    net: Net = Net()
    training: Training = Training()
    run: groups.Run = groups.Run(epochs=20.0, run_dir=Path("runs/autoencoder"))


def job(chosen: Options, dataset: Any) -> wiring.Job:
    import keras

    from engine import Update
    from engine.data.augment import scale
    from losses.strategies import Autoencoder

    train = dataset.source("train", chosen.run.batch_size, chosen.run.seed, scale, names=("image",))
    held_out = dataset.source("test", 500, transform=scale, names=("image",))
    net = wiring.make_net(chosen, latent_dim=chosen.training.latent_dim, image_shape=dataset.image_shape)
    update = Update(keras.optimizers.Adam(chosen.training.learning_rate), average=chosen.training.average or None)
    return wiring.Job(Autoencoder(chosen.training.error), {"autoencoder": net}, update, train, held_out)


if __name__ == "__main__":
    raise SystemExit(wiring.run(cli.Command(Options(), __doc__, files=True).parse(), job))
