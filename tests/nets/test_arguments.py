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
]


@pytest.mark.parametrize("name, options, message", REFUSED)
def test_a_bad_argument_is_named_with_its_value_and_the_rule(name, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        nets.create(name, **options)


@pytest.mark.parametrize(
    "name, shape, message",
    [
        ("convnet", (2, 28, 28), "`images` (2, 28, 28) must be of shape [B, any, any, any]"),
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
