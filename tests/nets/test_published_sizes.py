"""The standard forms have as many trainable parameters as published; nothing is allocated to count them."""

import math

import keras
import pytest

import nets

# with 1000 classes on RGB images: `num_params` of the weights in torchvision.models (resnet.py, densenet.py)
PUBLISHED = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "densenet121": 7_978_856,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
}
# classes, parameters of the forms of 2012 to 2014, each sum of (kernel * kernel * inputs + 1) * outputs by hand:
# AlexNet on one device, GoogLeNet without its auxiliary classifiers, NiN for ImageNet and for CIFAR-10
TABLES = [
    ("alexnet", 1000, {"stem": "imagenet"}, 62_378_344),
    ("googlenet", 1000, {"stem": "imagenet"}, 6_998_552),
    ("nin", 1000, {"stem": "imagenet"}, 7_595_176),
    ("nin", 10, {}, 966_986),
]


@pytest.fixture(autouse=True)
def _forgotten():
    """Keras would allocate the variables after all, gigabytes, with those of the next net that some test makes."""
    yield
    keras.utils.clear_session()


def parameters(net):
    """Number of trainable parameters on RGB images of 224 pixels, none of them allocated."""
    with keras.StatelessScope(initialize_variables=False):
        logits = net.compute_output_spec(keras.KerasTensor((None, 224, 224, 3)))  # traced once, where a call does twice
    assert logits.dtype == "float32" and len(logits.shape) == 2 and logits.shape[0] is None
    return sum(math.prod(variable.shape) for variable in net.trainable_variables)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_standard_form_has_the_published_number_of_parameters(name):
    head = {"head": "imagenet"} if name.startswith("vgg") else {}
    assert parameters(nets.create(name, classes=1000, **head)) == PUBLISHED[name]


@pytest.mark.parametrize("name, classes, options, count", TABLES)
def test_the_form_has_the_parameters_of_its_table(name, classes, options, count):
    assert parameters(nets.create(name, classes=classes, **options)) == count
