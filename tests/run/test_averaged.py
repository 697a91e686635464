"""The weights that evaluation uses, handed out; and the statistics of batch normalisation that belong to them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, Event, Every, Invalid, LossStrategy, Phase, Trainer, Update, average_of
from tests.toys import POINTS


class Fit(LossStrategy):
    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], separable=False)]

    def error(self, nets, batch, training):
        return tf.square(nets["net"](batch["x"], training=training)[:, 0] - tf.reduce_sum(batch["x"], axis=1))

    def loss(self, nets, batch, noise):
        return {"error": self.error(nets, batch, True)}

    def metrics(self, nets, batch, noise):
        return {"error": self.error(nets, batch, False)}


def normalised():
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.layers.Dense(8), keras.layers.BatchNormalization(momentum=0.9),
                             keras.layers.Activation("tanh"), keras.layers.Dense(1)])


def trainer_of(plan="graph", average=0.9, accumulate=1, nets=None, **options):
    return Trainer(Fit(), nets or {"net": normalised()},
                   Update(keras.optimizers.SGD(0.05), average=average, accumulate=accumulate),
                   ArraySource({"x": POINTS}, 8), plan=plan, say=lambda line: None, **options)


def test_averaged_gives_the_weights_of_evaluation_in_the_order_of_the_net():
    trainer = trainer_of()
    trainer.train(cycles=12)
    copy = normalised()
    copy(POINTS[:8])
    copy.set_weights(trainer.averaged("net"))
    expected = np.mean((copy(POINTS, training=False).numpy()[:, 0] - POINTS.sum(axis=1)) ** 2)
    assert trainer.evaluate(ArraySource({"x": POINTS}, 8))["error"] == pytest.approx(expected, rel=1e-5)
    assert not np.allclose(trainer.averaged("net")[0], trainer.nets["net"].get_weights()[0], atol=1e-4)


def test_without_an_average_they_are_the_weights_themselves_and_a_teacher_gives_its_own():
    net = normalised()
    trainer = trainer_of(average=None, nets={"net": net, "slow": average_of("net", 0.5)})
    trainer.train(cycles=3)
    for found, weight in zip(trainer.averaged("net"), net.get_weights(), strict=True):
        np.testing.assert_array_equal(found, weight)
    averages = [average.numpy() for _, average in trainer.engine.teachers["slow"].average.pairs]
    for found in trainer.averaged("slow"):
        assert any(found.shape == each.shape and np.array_equal(found, each) for each in averages)
    with pytest.raises(Invalid, match="`net` \\(critic\\) must be one of net, slow"):
        trainer.averaged("critic")


def statistics_by_hand(trainer, weights, batches, start):
    """Mean over batches of the mean and variance of Dense(8)'s outputs, float64."""
    kernel, bias = (np.float64(w) for w in weights[:2])
    read = [trainer.data.batch(tf.constant(start + i, tf.int64), ())["x"].numpy() for i in range(batches)]
    found = [x @ kernel + bias for x in read]
    return np.mean([h.mean(axis=0) for h in found], axis=0), np.mean([h.var(axis=0) for h in found], axis=0)


@pytest.mark.parametrize(("plan", "average", "accumulate"), [
    ("eager", 0.9, 1), ("graph", 0.9, 1), ("xla", 0.9, 1), ("graph", None, 1), ("graph", 0.9, 2)])
def test_reestimated_statistics_are_the_means_over_the_next_batches_with_the_weights_of_evaluation(
        plan, average, accumulate):
    trainer = trainer_of(plan, average, accumulate) if accumulate == 1 else Trainer(
        Taken(), {"net": normalised()}, Update(keras.optimizers.SGD(0.05), average=average, accumulate=accumulate),
        ArraySource({"x": POINTS}, 8), plan=plan, say=lambda line: None)
    trainer.train(cycles=6)
    before, place = trainer.averaged("net"), trainer.engine.place
    raw = [v.numpy() for v in trainer.nets["net"].variables]
    trainer.reestimate(7)
    after = trainer.averaged("net")
    mean, variance = statistics_by_hand(trainer, before, 7, 6 * accumulate)
    np.testing.assert_allclose(after[4], mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(after[5], variance, rtol=1e-5)
    for place_in_net in (0, 1, 2, 3, 6, 7):
        np.testing.assert_array_equal(after[place_in_net], before[place_in_net])
    assert trainer.engine.place == place
    if average is not None:  # the training goes on as it would have
        for variable, value in zip(trainer.nets["net"].variables, raw, strict=True):
            np.testing.assert_array_equal(variable.numpy(), value)


class Taken(Fit):
    """Statistics are of a micro-batch, as they are in the training."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], separable=True)]


def test_a_continued_run_has_the_reestimated_statistics(tmp_path):
    def run(cycles, folder):
        events = [Event(Every(cycles=4), lambda trainer, means: trainer.reestimate(5))]
        trainer = trainer_of(run_dir=folder, record=False, cycles_per_call=2, events=events)
        trainer.train(cycles=cycles)
        return trainer

    whole = run(8, tmp_path / "whole").averaged("net")
    run(5, tmp_path / "parts").save()
    for ours, theirs in zip(run(8, tmp_path / "parts").averaged("net"), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_cannot_be_reestimated_is_refused():
    plain = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])
    trainer = trainer_of(nets={"net": plain})
    with pytest.raises(Invalid, match="batch normalisation"):
        trainer.reestimate(3)
    trainer = trainer_of()
    with pytest.raises(Invalid, match="`batches` \\(0\\)"):
        trainer.reestimate(0)
    with pytest.raises(Invalid, match="`phase` \\(critic\\) must be one of fit"):
        trainer.reestimate(3, phase="critic")
