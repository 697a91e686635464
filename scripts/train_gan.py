"""Train a DCGAN (one discriminator update per generator update) and look at its samples.

  python scripts/train_gan.py                             the shipped 10 000 images, 4 200 cycles, five to ten minutes
  python scripts/train_gan.py --kind hinge --dataset cifar10 --epochs 50
  python scripts/train_gan.py --dataset image-folder --data-dir photos --size 64
  python scripts/train_gan.py --kind wasserstein          a WGAN: clipped weights, 5 critic updates

The run's folder then holds report.html, metrics.csv, pictures, checkpoints and TensorBoard events. The same
command again continues the run; with more --epochs or --cycles it trains on.
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

SIDES = (28, 32, 64)  # that the nets are made for, pixels
KINDS = ("non-saturating", "minimax", "least-squares", "hinge", "wasserstein")


@dataclasses.dataclass(frozen=True)
class Model:
    """The method and its nets."""

    TITLE: ClassVar[str] = "model"
    kind: str = option(KINDS[0], "of losses; wasserstein clips the critic's weights, moves by RMSprop and takes 5e-5 "
                       "as its learning rate", Choice(*KINDS))
    size: Any = option(None, "side of the images, pixels; others are resized (default: the one nearest to the data's)",
                       Choice(*SIDES))
    latent_dim: int = option(100, "latent dimensions", whole)
    width: int = option(64, "channels of both nets at half the images' side, doubled by each further halving", whole)
    discriminator_updates: Any = option(None, "per generator update (default: 1; 5 of wasserstein)", whole)
    learning_rate: Any = groups.learning_rate(None, " (default: 0.0002; 5e-05 of wasserstein)")
    average: float = groups.average(0.99, of="generator's weights for the samples")


@dataclasses.dataclass(frozen=True)
class Options(groups.TrainOptions):
    """Of this script."""

    SCRIPT: ClassVar[str] = "train_gan"
    data: Images = Images()
    training: Model = Model()
    run: groups.Run = groups.Run(epochs=30.0, batch_size=64, run_dir=Path("runs/gan"))

    def resolved(self, dataset: Any) -> "Options":
        """With the size nearest to the pictures', and what the kind of losses takes."""
        model, side = self.training, max(dataset.image_shape[:2])
        rate, updates = (5e-5, 5) if model.kind == "wasserstein" else (2e-4, 1)
        return dataclasses.replace(self, training=dataclasses.replace(
            model, size=model.size or min(SIDES, key=lambda known: abs(known - side)),
            learning_rate=model.learning_rate or rate, discriminator_updates=model.discriminator_updates or updates))


def job(chosen: Options, dataset: Any) -> wiring.Job:
    import nets
    from engine import Update
    from engine.data.augment import Chain, Resize, scale

    height, width, channels = dataset.image_shape
    model = chosen.training
    side = model.size
    transform = scale if height == width == side else Chain(scale, Resize(side, side))
    shape = {"side": side, "channels": channels, "width": model.width}
    strategy, judge, of_judge, of_generator = _wgan(model) if model.kind == "wasserstein" else _gan(model)
    return wiring.Job(
        strategy,
        {"generator": nets.create("dcgan-generator", latent_dim=model.latent_dim, **shape),
         judge: nets.create("dcgan-discriminator", **shape)},
        {judge: of_judge, "generator": Update(of_generator, average=model.average or None)},
        dataset.source("train", chosen.run.batch_size, chosen.run.seed, transform, names=("image",)),
        dataset.source("test", 250, transform=transform, names=("image",)))


def _gan(chosen: Model) -> tuple[Any, str, Any, Any]:
    """The strategy, the name of the net that judges, its update and the generator's optimizer."""
    import keras

    from losses.strategies import GAN

    def adam() -> Any:  # Radford et al. 2016, section 4
        return keras.optimizers.Adam(chosen.learning_rate, beta_1=0.5)

    return GAN(chosen.kind, chosen.latent_dim, chosen.discriminator_updates), "discriminator", adam(), adam()


def _wgan(chosen: Model) -> tuple[Any, str, Any, Any]:
    """The same of Arjovsky et al. 2017, algorithm 1."""
    import keras

    from engine import Update
    from losses.strategies import WGAN

    def rmsprop() -> Any:
        return keras.optimizers.RMSprop(chosen.learning_rate)

    return (WGAN(chosen.latent_dim, chosen.discriminator_updates), "critic", Update(rmsprop(), clip_weights=0.01),
            rmsprop())


if __name__ == "__main__":
    raise SystemExit(wiring.run(cli.Command(Options(), __doc__, files=True).parse(), job))
