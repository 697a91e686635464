"""The data sets by name: each takes its own options; what is unknown shows the nearest."""

import inspect

import numpy as np
import pytest

from engine.data import catalog
from engine.errors import Invalid


def test_unknown_names_show_the_nearest():
    for name, nearest in (("cifar-10", "cifar10"), ("cifar100coarse", "cifar100-coarse"), ("lineal", "linear"),
                          ("npy", "npz"), ("mnst", "mnist")):
        with pytest.raises(Invalid, match=rf"^`dataset` \({name}\) must be one of .*; nearest: {nearest}$"):
            catalog.load(name)


def test_options_are_handed_on_and_unknown_ones_named():
    assert catalog.load("polynomial", degree=4).train["x"].shape == (100, 4)
    with pytest.raises(Invalid, match=r"^`option of polynomial` \(degre\) must be one of degree, .*; nearest: degree$"):
        catalog.load("polynomial", degre=4)
    with pytest.raises(Invalid, match=r"^`option of cifar10` \(seed\) must be left out: cifar10 takes none$"):
        catalog.load("cifar10", seed=1)


def test_a_loader_of_ones_own(monkeypatch):
    def mine(data_dir=None, *, size=2):
        return catalog.Dataset("mine", {"x": np.ones(size)}, {"x": np.zeros(size)})

    monkeypatch.setitem(catalog.DATASETS, "mine", mine)
    assert catalog.load("mine", size=3).train["x"].tolist() == [1, 1, 1]


def test_every_loader_takes_a_folder_and_options_with_defaults():
    for name, loader in catalog.DATASETS.items():
        first, *options = inspect.signature(loader).parameters.values()
        assert first.name == "data_dir" and first.default is None, name
        for option in options:
            assert option.kind is option.KEYWORD_ONLY and option.default is not option.empty, (name, option.name)
