"""Train a WGAN-GP (5 critic updates per generator update, gradient penalty) and look at its samples.

  python scripts/train_wgan_gp.py                         the shipped 10 000 images, about five minutes
  python scripts/train_wgan_gp.py --dataset fashion-mnist --cycles 10000
  python scripts/train_wgan_gp.py --dataset image-folder --data-dir photos
  python scripts/train_wgan_gp.py --size 64               the 64x64 nets, images resized, grey as RGB; slow on a CPU

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
from rules import Choice, weight, whole


@dataclasses.dataclass(frozen=True)
class Model:
    """The method and its nets."""

    TITLE: ClassVar[str] = "model"
    size: Any = option(None, "of the nets' images, pixels: 28 in grey or 64 in RGB; the data's are resized (default: "
                       "28 for grey images of 28 pixels, else 64)", Choice(28, 64))
    latent_dim: int = option(64, "latent dimensions", whole)
    penalty_weight: float = option(10.0, "of the gradient penalty", weight)
    target: float = option(1.0, "norm of the critic's gradient that costs nothing, in score per unit of the image in "
                           "[-1, 1]", weight)
    one_sided: bool = option(False, "no penalty for gradient norms below --target", bool)
    critic_updates: int = option(5, "per generator update", whole)
    normalization: str = option("layer", "in the critic; batch is wrong under a gradient penalty and warned of",
                                Choice("layer", "none", "batch"))
    learning_rate: float = groups.learning_rate(5e-4)
    average: float = groups.average(0.99, of="generator's weights for the samples")


@dataclasses.dataclass(frozen=True)
class Options(groups.TrainOptions):
    """Of this script."""

    SCRIPT: ClassVar[str] = "train_wgan_gp"
    data: Images = Images()
    training: Model = Model()
    run: groups.Run = groups.Run(epochs=60.0, batch_size=64, run_dir=Path("runs/wgan-gp"))

    def resolved(self, dataset: Any) -> "Options":
        """With the nets' size that fits the pictures."""
        size = self.training.size or (28 if dataset.image_shape == (28, 28, 1) else 64)
        return dataclasses.replace(self, training=dataclasses.replace(self.training, size=size))


def job(chosen: Options, dataset: Any) -> wiring.Job:
    import keras

    import nets
    from engine import Update
    from losses.strategies import WGANGP

    model = chosen.training
    transform = _transform(model.size, dataset.image_shape)

    def adam() -> Any:  # betas of Gulrajani et al. 2017, algorithm 1, for few cycles
        return keras.optimizers.Adam(model.learning_rate, beta_1=0.5, beta_2=0.9)

    return wiring.Job(
        WGANGP(model.latent_dim, model.penalty_weight, model.critic_updates, model.target, model.one_sided),
        {"generator": nets.create(f"generator{model.size}", latent_dim=model.latent_dim),
         "critic": nets.create(f"critic{model.size}", normalization=model.normalization)},
        {"critic": adam(), "generator": Update(adam(), average=model.average or None)},
        dataset.source("train", chosen.run.batch_size, chosen.run.seed, transform, names=("image",)),
        dataset.source("test", 250, transform=transform, names=("image",)))


def _transform(size: int, shape: tuple[int, ...]) -> Any:
    """From the data's pictures to those of the nets: 28 pixels in grey, or 64 in RGB."""
    from engine.data.augment import Chain, Resize, rgb, scale
    from engine.errors import require

    require(size == 64 or shape[2] == 1, "--size", size, "64 for colour images")
    steps: list[Any] = [scale, *[rgb] * (size == 64), *[Resize(size, size)] * (shape[:2] != (size, size))]
    return Chain(*steps) if len(steps) > 1 else scale


if __name__ == "__main__":
    raise SystemExit(wiring.run(cli.Command(Options(), __doc__, files=True).parse(), job))
