"""The nets, one architecture per file: Keras models that give logits, scores or images, and hold no loss.

Make one by its class, ``MLP(hidden=(512, 256))``, or by its name, ``create("mlp", hidden=(512, 256))``.
A net of your own has the name "module:Class": ``create("my_nets:Wide", classes=10)``.
"""

import inspect

import keras

from nets import _arguments as arguments
from nets._own import own_net
from nets.alexnet import AlexNet
from nets.autoencoder import DenseAutoencoder
from nets.branching import Branching
from nets.conv_autoencoder import ConvAutoencoder
from nets.conv_vae import ConvVAE
from nets.convnet import ConvNet
from nets.dcgan import DCGANDiscriminator, DCGANGenerator
from nets.dense_vae import DenseVAE
from nets.densenet import DenseNet, DenseNet121
from nets.googlenet import GoogLeNet
from nets.linear import LinearRegression
from nets.lstm import LSTMClassifier
from nets.mlp import MLP
from nets.nin import NiN
from nets.preact_resnet import PreActResNet
from nets.resnet import ResNet18, ResNet34, ResNet50, ResNet101, ResNet152
from nets.stack import PlainStack, ResidualStack
from nets.vgg import VGG11, VGG13, VGG16, VGG19
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
    "resnet18": ResNet18,
    "resnet34": ResNet34,
    "resnet50": ResNet50,
    "resnet101": ResNet101,
    "resnet152": ResNet152,
    "preact-resnet": PreActResNet,
    "residual-stack": ResidualStack,
    "plain-stack": PlainStack,
    "densenet": DenseNet,
    "densenet121": DenseNet121,
    "lstm": LSTMClassifier,
    "dense-autoencoder": DenseAutoencoder,
    "conv-autoencoder": ConvAutoencoder,
    "dcgan-generator": DCGANGenerator,
    "dcgan-discriminator": DCGANDiscriminator,
    "linear": LinearRegression,
    "branching": Branching,
    "alexnet": AlexNet,
    "vgg11": VGG11,
    "vgg13": VGG13,
    "vgg16": VGG16,
    "vgg19": VGG19,
    "nin": NiN,
    "googlenet": GoogLeNet,
}

for _net in NETS.values():  # so that a .keras file of one can be read
    keras.saving.register_keras_serializable("phaseloop")(_net)

__all__ = [
    "MLP",
    "NETS",
    "VGG11",
    "VGG13",
    "VGG16",
    "VGG19",
    "AlexNet",
    "Branching",
    "ConvAutoencoder",
    "ConvNet",
    "ConvVAE",
    "Critic28",
    "Critic64",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DenseAutoencoder",
    "DenseNet",
    "DenseNet121",
    "DenseVAE",
    "Generator28",
    "Generator64",
    "GoogLeNet",
    "LSTMClassifier",
    "LinearRegression",
    "NiN",
    "PlainStack",
    "PreActResNet",
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "ResidualStack",
    "create",
    "options_of",
]


def create(name: str, **options: object) -> keras.Model:
    """Makes the net called ``name`` in ``NETS``, or the class "module:Class"; ``options`` are its arguments.

    Raises:
      ValueError: An unknown name or option, with the nearest known one, an option out of its range, or a
        class that cannot be imported or is no ``keras.Model``.
    """
    parameters = _parameters(name)
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        for option in options:
            arguments.choice(f"option of {name}", option, parameters)
    return _class(name)(**options)


def options_of(name: str) -> list[str]:
    """The names of the arguments that ``create(name, ...)`` takes. Raises ValueError as ``create`` does."""
    return list(_parameters(name))


def _class(name: str) -> type[keras.Model]:
    return own_net(name) if ":" in name else NETS[arguments.choice("net", name, NETS)]


def _parameters(name: str) -> dict[str, inspect.Parameter]:
    parameters = dict(inspect.signature(_class(name).__init__).parameters)
    del parameters["self"]
    return parameters
