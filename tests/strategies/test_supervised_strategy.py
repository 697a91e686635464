"""Mixup, class weights and top-5 accuracy of the supervised strategy."""

import numpy as np
import pytest

from engine import Invalid, Noise
from engine.testing import try_phase
from losses.strategies import Supervised
from tests import references
from tests.strategies.small_nets import IMAGES, LABELS, linear

KERNEL = np.random.default_rng(1).normal(size=(4, 3)) * 3
BATCH = {"image": IMAGES, "label": LABELS}
ROWS = IMAGES.reshape(6, 4).astype("float64")


def fractions(alpha, update):
    """What the strategy draws, by NumPy."""
    noise = Noise(0, "classifier", update, 6)
    return references.symmetric_beta(noise.uniform("mixup_radius").numpy().astype("float64"),
                                     noise.uniform("mixup_angle").numpy().astype("float64"), alpha)


@pytest.mark.parametrize("smoothing, weights", [(0.0, None), (0.2, [1.0, 2.0, 5.0])])
def test_mixup_mixes_each_example_and_its_loss_with_the_one_before_it(smoothing, weights):
    fraction, before = fractions(0.4, update=3), [5, 0, 1, 2, 3, 4]
    assert len(np.unique(fraction)) == 6  # one fraction per example
    mixed = fraction[:, None] * ROWS + (1 - fraction[:, None]) * ROWS[before]
    logits = mixed @ KERNEL
    own = references.softmax_cross_entropy(LABELS, logits, smoothing, weights)
    other = references.softmax_cross_entropy(LABELS[before], logits, smoothing, weights)
    right = [references.accuracy(labels, logits) for labels in (LABELS, LABELS[before])]
    tried = try_phase(Supervised(smoothing, mixup=0.4, class_weights=weights), "classifier",
                      {"classifier": linear(3, KERNEL)}, BATCH, update=3)
    assert tried.means["cross_entropy"] == pytest.approx((fraction * own + (1 - fraction) * other).mean(), rel=1e-5)
    assert tried.means["accuracy"] == pytest.approx((fraction * right[0] + (1 - fraction) * right[1]).mean(), rel=1e-5)
    assert tried.means["objective"] == pytest.approx(tried.means["cross_entropy"], rel=1e-6)


def test_mixup_mixes_in_training_only_and_joins_examples():
    nets = {"classifier": linear(3, KERNEL)}
    mixed = Supervised(mixup=1.0).metrics(nets, BATCH, Noise(examples=6))
    plain = Supervised().metrics(nets, BATCH, Noise(examples=6))
    for name in plain:
        np.testing.assert_array_equal(mixed[name], plain[name])
    # The engine may compute shards of a batch apart only where no example sees another one.
    assert not Supervised(mixup=1.0).phases()[0].separable and Supervised().phases()[0].separable


def test_class_weights_weigh_in_training_and_not_in_metrics():
    weights = [1.0, 2.0, 9.0]  # of mean 4
    own = references.softmax_cross_entropy(LABELS, ROWS @ KERNEL)
    expected = own * np.array([0.25, 0.5, 2.25])[LABELS]
    strategy, nets = Supervised(class_weights=weights), {"classifier": linear(3, KERNEL)}
    tried = try_phase(strategy, "classifier", nets, BATCH)
    assert tried.means["cross_entropy"] == pytest.approx(expected.mean(), rel=1e-5)
    np.testing.assert_allclose(strategy.metrics(nets, BATCH, Noise(examples=6))["cross_entropy"], own, rtol=1e-4)


@pytest.mark.parametrize("classes", [5, 6])
def test_top_5_accuracy_is_told_of_more_than_5_classes(classes):
    kernel = np.random.default_rng(2).normal(size=(4, classes))
    labels = np.arange(6, dtype="int32") % classes
    metrics = Supervised().metrics({"classifier": linear(classes, kernel)}, {"image": IMAGES, "label": labels},
                                   Noise(examples=6))
    assert ("top_5_accuracy" in metrics) == (classes > 5)
    if classes > 5:
        expected = references.top_k_accuracy(labels, ROWS @ kernel, 5)
        assert 0 < expected.sum() < 6
        np.testing.assert_array_equal(metrics["top_5_accuracy"], expected)


@pytest.mark.parametrize("make, text", [
    (lambda: Supervised(label_smoothing=1.0), r"`label_smoothing` \(1.0\) must be at least 0 and below 1"),
    (lambda: Supervised(mixup=-0.1), r"`mixup` \(-0.1\) must be at least 0 and finite"),
    (lambda: Supervised(mixup=float("inf")), r"`mixup` \(inf\) must be at least 0 and finite"),
    (lambda: Supervised(class_weights=[1.0, 0.0]), r"`class_weights` \(\[1.0, 0.0\]\) must be positive numbers, one "),
])
def test_options_out_of_range(make, text):
    with pytest.raises(Invalid, match=text):
        make()


def test_class_weights_of_another_number_of_classes_are_refused():
    with pytest.raises(ValueError, match=r"`class_weights` \(\[1.0, 2.0\]\) must be 3 positive numbers, one for each"):
        try_phase(Supervised(class_weights=[1.0, 2.0]), "classifier", {"classifier": linear(3)}, BATCH)
