"""What is trained: nets, sizes, settings of Adam, and the data. No framework is imported here."""

from dataclasses import dataclass, field
from typing import Any

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Input:
    """One entry of a batch: the file that holds all examples, the shape of one of them, its type."""

    file: str
    shape: tuple[int, ...] = ()
    dtype: str = "int32"


IMAGES = {side: Input(f"images-{side}.npy", (side, side, channels), "uint8")
          for side, channels in ((28, 1), (32, 3), (64, 3))}
LABELS = Input("labels.npy")  # of the images, 0 to 9
TOKENS, SENTIMENTS = Input("tokens.npy", (100,)), Input("sentiments.npy")  # random; no padding among the tokens

# loss -> phase -> (the net that it moves, updates per cycle), in order
PHASES = {"supervised": {"classifier": ("classifier", 1)},
          "binary": {"classifier": ("classifier", 1)},
          "vae": {"elbo": ("vae", 1)},
          "wgan-gp": {"critic": ("critic", 5), "generator": ("generator", 1)}}


@dataclass(frozen=True)
class Workload:
    """One training, the same for every contestant.

    Attributes:
      loss: One of ``PHASES``.
      nets: Name in the loss -> (name for ``nets.create``, its options).
      inputs: Name in a batch -> what it is.
      small: Updates of about a millisecond, or sequences: one thread may be faster than two.
      precision: "float32", or "bfloat16" for compute in bfloat16 on float32 variables.
      device: "cpu" or "gpu".
    """

    name: str
    loss: str
    nets: dict[str, tuple[str, dict[str, Any]]]
    inputs: dict[str, Input]
    batch_size: int  # examples per update
    learning_rate: float = 1e-3  # of Adam
    betas: tuple[float, float] = (0.9, 0.999)  # of Adam
    latent_dim: int = 0
    small: bool = False
    precision: str = "float32"
    device: str = "cpu"
    repeats: dict[str, int] = field(init=False)  # phase -> updates per cycle, in order
    moves: dict[str, str] = field(init=False)  # phase -> the net that it moves

    def __post_init__(self) -> None:
        for name, place in (("moves", 0), ("repeats", 1)):
            object.__setattr__(self, name, {phase: each[place] for phase, each in PHASES[self.loss].items()})

    @property
    def batches(self) -> int:
        """Batches that a cycle reads."""
        return sum(count for phase, count in self.repeats.items() if reads(phase))


def _supervised(name: str, image: Input, batch_size: int, small: bool = False, **options: Any) -> Workload:
    return Workload(name, "supervised", {"classifier": (name, options)}, {"image": image, "label": LABELS}, batch_size,
                    small=small)


def _vae(name: str, net: str, small: bool = False) -> Workload:
    return Workload(name, "vae", {"vae": (net, {"latent_dim": 20})}, {"image": IMAGES[28]}, 128, latent_dim=20,
                    small=small)


def _wgan_gp(side: int, latent_dim: int, learning_rate: float) -> Workload:
    nets: dict[str, tuple[str, dict[str, Any]]] = {"generator": (f"generator{side}", {"latent_dim": latent_dim}),
                                                   "critic": (f"critic{side}", {})}
    return Workload(f"wgan-gp-{side}", "wgan-gp", nets, {"image": IMAGES[side]}, 64, learning_rate, (0.5, 0.9),
                    latent_dim)


WORKLOADS = {each.name: each for each in (
    _supervised("mlp", IMAGES[28], 128, small=True),
    _vae("vae", "dense-vae", small=True),
    _vae("conv-vae", "conv-vae"),
    _supervised("convnet", IMAGES[28], 128),
    _supervised("resnet18", IMAGES[32], 64, stem="cifar"),
    _supervised("densenet", IMAGES[28], 64),
    Workload("lstm", "binary", {"classifier": ("lstm", {"dropout": 0.0})}, {"tokens": TOKENS, "label": SENTIMENTS}, 64,
             small=True),  # without dropout, whose masks differ between frameworks
    _wgan_gp(28, 64, 5e-4),
    _wgan_gp(64, 100, 2e-4),
)}
PENALTY_WEIGHT = 10.0
ADAM_EPSILON = 1e-7  # Keras's; PyTorch's own is 1e-8


def reads(phase: str) -> bool:
    """Whether an update of ``phase`` takes a batch; the generator's takes none."""
    return phase != "generator"


def draw_shapes(workload: Workload, phase: str) -> dict[str, tuple[int, ...]]:
    """Name and shape of what an update of ``phase`` draws: normal ``z``, uniform ``mix``."""
    shapes: dict[str, tuple[int, ...]] = {}
    if workload.latent_dim:
        shapes["z"] = (workload.batch_size, workload.latent_dim)
    return {**shapes, "mix": (workload.batch_size,)} if phase == "critic" else shapes
