"""What is trained: sizes, settings of Adam, and the images. No framework is imported here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PLANS = {"vae": "xla", "wgan-gp-64": "graph"}  # what ours and bare compile with, unless told otherwise


@dataclass(frozen=True)
class Workload:
    """One training, the same for every contestant."""

    name: str
    shape: tuple[int, int, int]  # of an image as stored: height, width, channels; uint8
    batch_size: int  # examples per update
    latent_dim: int
    learning_rate: float  # of Adam
    betas: tuple[float, float]  # of Adam
    repeats: dict[str, int]  # phase -> updates per cycle, in order
    nets: dict[str, str]  # phase -> the net that it moves

    @property
    def batches(self) -> int:
        """Batches of images that a cycle reads; the generator reads none."""
        return sum(count for phase, count in self.repeats.items() if phase != "generator")


WORKLOADS = {each.name: each for each in (
    Workload("vae", (28, 28, 1), 128, 20, 1e-3, (0.9, 0.999), {"elbo": 1}, {"elbo": "vae"}),
    Workload("wgan-gp-64", (64, 64, 3), 64, 100, 2e-4, (0.5, 0.9), {"critic": 5, "generator": 1},
             {"critic": "critic", "generator": "generator"}),
)}
PENALTY_WEIGHT = 10.0
ADAM_EPSILON = 1e-7  # Keras's; PyTorch's own is 1e-8
NORM_EPSILON = 1e-3  # Keras's, of batch and layer normalisation; PyTorch's own is 1e-5
# The layers with weights, by net: the names are attributes of ours and of the PyTorch nets.
LAYERS = {"vae": ("encoder_hidden", "encoder_output", "decoder_hidden", "decoder_output"),
          "generator": ("dense", "up1", "norm1", "up2", "norm2", "up3"),
          "critic": ("down1", "down2", "norm2", "down3", "norm3", "score")}


def draw_shapes(workload: Workload, phase: str) -> dict[str, tuple[int, ...]]:
    """Name and shape of what an update of ``phase`` draws: normal ``z``, uniform ``mix``."""
    shapes: dict[str, tuple[int, ...]] = {"z": (workload.batch_size, workload.latent_dim)}
    return {**shapes, "mix": (workload.batch_size,)} if phase == "critic" else shapes


def prepare(folder: Path, names: Sequence[str]) -> None:
    """Write <folder>/<workload>.npy: Fashion-MNIST (the shipped 10 000, training part), for 64x64x3 resized."""
    from PIL import Image

    from engine.data.catalog import load

    images = load("fashion-mnist-10k").train["image"]
    for name in names:
        height, width, channels = WORKLOADS[name].shape
        if images.shape[1:] == (height, width, channels):
            resized = images
        else:
            grey = [Image.fromarray(image[..., 0]).resize((width, height)) for image in images]  # bicubic
            resized = np.repeat(np.stack([np.asarray(image) for image in grey])[..., None], channels, axis=-1)
        np.save(folder / f"{name}.npy", resized)


if __name__ == "__main__":
    import sys

    prepare(Path(sys.argv[1]), sys.argv[2:])
