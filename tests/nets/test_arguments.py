"""What the nets say to a bad argument."""

import re

import numpy as np
import pytest
import tensorflow as tf

import nets

REFUSED = [
    (
        "resnt",
        {},
        "`net` (resnt) must be one of mlp, convnet, dense-vae, conv-vae, generator28, critic28, generator64,",
    ),
    ("convnett", {}, "; nearest: convnet"),
    (
        "mlp",
        {"hiden": (8,)},
        "`option of mlp` (hiden) must be one of hidden, classes, dropout, name; nearest: hidden",
    ),
    ("mlp", {"hidden": 8}, "`hidden` (8) must be a sequence of integers of at least 1"),
    ("mlp", {"hidden": (8, 0)}, "`hidden` ((8, 0)) must be a sequence of integers of at least 1"),
    ("mlp", {"classes": 0}, "`classes` (0) must be an integer of at least 1"),
    ("mlp", {"classes": True}, "`classes` (True) must be an integer of at least 1"),
    ("mlp", {"dropout": 1.0}, "`dropout` (1.0) must be a number of at least 0 and below 1"),
    ("convnet", {"dropout": -0.1}, "`dropout` (-0.1) must be a number of at least 0 and below 1"),
    ("convnet", {"dropout": float("nan")}, "`dropout` (nan) must be a number of at least 0 and below 1"),
    ("convnet", {"classes": 2.5}, "`classes` (2.5) must be an integer of at least 1"),
    ("dense-vae", {"latent_dim": 0}, "`latent_dim` (0) must be an integer of at least 1"),
    ("dense-vae", {"hidden": -1}, "`hidden` (-1) must be an integer of at least 1"),
    ("dense-vae", {"image_shape": (28, 28)}, "`image_shape` ((28, 28)) must be (height, width, channels)"),
    (
        "conv-vae",
        {"image_shape": (30, 28, 1)},
        "`image_shape` ((30, 28, 1)) must have a height and width that are multiples of 4",
    ),
    ("generator28", {"latent_dim": "64"}, "`latent_dim` (64) must be an integer of at least 1"),
    ("generator28", {"width": 0}, "`width` (0) must be an integer of at least 1"),
    ("critic28", {"width": 1.5}, "`width` (1.5) must be an integer of at least 1"),
    ("generator64", {"latent_dim": 0}, "`latent_dim` (0) must be an integer of at least 1"),
    (
        "critic28",
        {"normalization": "bach"},
        "`normalization` (bach) must be one of layer, none, batch; nearest: batch",
    ),
    ("critic64", {"normalization": None}, "`normalization` (None) must be one of layer, none, batch"),
    ("resnet18", {"stem": "cifer"}, "`stem` (cifer) must be one of imagenet, cifar; nearest: cifar"),
    ("resnet50", {"width": 0}, "`width` (0) must be an integer of at least 1"),
    ("resnet50", {"blocks": (3, 0)}, "`blocks` ((3, 0)) must be a sequence of integers of at least 1"),
    ("preact-resnet", {"blocks": 2}, "`blocks` (2) must be a sequence of integers of at least 1"),
    ("residual-stack", {"filters": 1}, "`filters` (1) must be an integer of at least 2"),
    ("plain-stack", {"dropout": 1}, "`dropout` (1) must be a number of at least 0 and below 1"),
    ("densenet", {"compression": 0}, "`compression` (0) must be a number above 0 and at most 1"),
    ("densenet", {"compression": 1.1}, "`compression` (1.1) must be a number above 0 and at most 1"),
    ("densenet121", {"growth": 1.5}, "`growth` (1.5) must be an integer of at least 1"),
    ("lstm", {"vocabulary": 1}, "`vocabulary` (1) must be an integer of at least 2"),
    ("lstm", {"units": 64}, "`units` (64) must be a sequence of integers of at least 1"),
    ("conv-autoencoder", {"image_shape": (28, 30, 1)}, "must have a height and width that are multiples of 4"),
    ("dense-autoencoder", {"hidden": (0,)}, "`hidden` ((0,)) must be a sequence of integers of at least 1"),
    ("dcgan-generator", {"channels": 0}, "`channels` (0) must be an integer of at least 1"),
    ("linear", {"outputs": 0}, "`outputs` (0) must be an integer of at least 1"),
    ("branching", {"seed": -1}, "`seed` (-1) must be an integer of at least 0"),
    ("alexnet", {"stem": "cifer"}, "`stem` (cifer) must be one of imagenet, cifar; nearest: cifar"),
    ("alexnet", {"width": 0}, "`width` (0) must be an integer of at least 1"),
    ("vgg16", {"head": "smal"}, "`head` (smal) must be one of imagenet, small; nearest: small"),
    ("vgg16", {"l2": -1e-4}, "`l2` (-0.0001) must be a finite number of at least 0"),
    ("vgg16", {"l2": float("inf")}, "`l2` (inf) must be a finite number of at least 0"),
    ("vgg16", {"conv_dropout": (0.3,)}, "`conv_dropout` ((0.3,)) must be a sequence of 5 numbers of at least 0"),
    ("vgg16", {"conv_dropout": 0.3}, "`conv_dropout` (0.3) must be a sequence of 5 numbers of at least 0 and below 1"),
    ("vgg16", {"conv_dropout": (0, 0, 0, 0, 1)}, "`conv_dropout` (1) must be a number of at least 0 and below 1"),
    ("vgg16", {"depth": 12}, "`option of vgg16` (depth) must be one of classes, dropout, batch_norm, conv_dropout"),
    ("nin", {"width": 1.5}, "`width` (1.5) must be an integer of at least 1"),
    ("googlenet", {"dropout": 1}, "`dropout` (1) must be a number of at least 0 and below 1"),
]


@pytest.mark.parametrize("name, options, message", REFUSED)
def test_a_bad_argument_is_named_with_its_value_and_the_rule(name, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        nets.create(name, **options)


@pytest.mark.parametrize(
    "name, shape, message",
    [
        ("convnet", (2, 28, 28), "`images` (2, 28, 28) must be of shape [B, any, any, any]"),
        ("vgg11", (2, 28, 28), "`images` (2, 28, 28) must be of shape [B, any, any, any]"),
        ("nin", (2, 784), "`images` (2, 784) must be of shape [B, any, any, any]"),
        ("googlenet", (2, 28, 28), "`images` (2, 28, 28) must be of shape [B, any, any, any]"),
        ("dense-vae", (2, 32, 32, 1), "`images` (2, 32, 32, 1) must be of shape [B, 28, 28, 1]"),
        ("conv-vae", (2, 28, 28), "`images` (2, 28, 28) must be of shape [B, 28, 28, 1]"),
        ("generator28", (2, 100), "`z` (2, 100) must be of shape [B, 64]"),
        ("critic28", (2, 32, 32, 1), "`images` (2, 32, 32, 1) must be of shape [B, 28, 28, 1]"),
        ("generator64", (2, 64), "`z` (2, 64) must be of shape [B, 100]"),
        ("critic64", (2, 28, 28, 1), "`images` (2, 28, 28, 1) must be of shape [B, 64, 64, 3]"),
    ],
)
def test_a_batch_of_another_shape_is_refused(name, shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        nets.create(name)(tf.zeros(shape))


def test_sizes_may_be_numpy_integers():
    assert nets.create("dense-vae", latent_dim=np.int64(3)).latent_dim == 3
