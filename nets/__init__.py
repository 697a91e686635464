"""The nets, one architecture per file: Keras models that give logits, scores or images, and hold no loss.

Make one by its class, `MLP(hidden=(512, 256))`, or by its name, `create("mlp", hidden=(512, 256))`.
"""

import inspect

import keras

from nets import _arguments as arguments
from nets.conv_vae import ConvVAE
from nets.convnet import ConvNet
from nets.dense_vae import DenseVAE
from nets.mlp import MLP
from nets.wgan28 import Critic28, Generator28
from nets.wgan64 import Critic64, Generator64

NETS: dict[str, type[keras.Model]] = {
    "mlp": MLP,
    "convnet": ConvNet,
    "dense-vae": DenseVAE,
    "conv-vae": ConvVAE,
    "generator28": Generator28,
    "critic28": Critic28,
    "generator64": Generator64,
    "critic64": Critic64,
}

__all__ = [
    "MLP",
    "NETS",
    "ConvNet",
    "ConvVAE",
    "Critic28",
    "Critic64",
    "DenseVAE",
    "Generator28",
    "Generator64",
    "create",
]


def create(name: str, **options: object) -> keras.Model:
    """Makes the net called `name` in `NETS`; `options` are the arguments of its class.

    Raises:
      ValueError: for an unknown name or option, with the nearest known one, or an option out of its range.
    """
    net = NETS[arguments.choice("net", name, NETS)]
    known = [option for option in inspect.signature(net.__init__).parameters if option != "self"]
    for option in options:
        arguments.choice(f"option of {name}", option, known)
    return net(**options)
