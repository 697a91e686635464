"""Evaluation: every example once, in stored order, padding never."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, DatasetSource, Invalid, Trainer
from engine.run import evaluator
from tests import toys

ARRAYS = {"x": toys.POINTS, "index": np.arange(200, dtype="int32")}


class Evaluator(toys.Fit):
    """Metrics of known means; two of them are NaN, or infinite, wherever an example is padding."""

    def metrics(self, nets, batch, noise):
        index, length = batch["index"], batch["index"].shape[0]
        own = index % length == tf.range(length)  # holds for each example in its place, and not for padding
        return {"index": index,
                "odd": index % 2 == 1,
                "half": tf.cast(index % 4, tf.float16),
                "nan_on_padding": tf.where(own, tf.cast(index, tf.float32), np.nan),
                "inf_on_padding": tf.where(own, 1.0, np.inf),
                **super().metrics(nets, batch, noise)}


def trainer(strategy=None, nets=None, updates=None, source=None, **options):
    return Trainer(strategy or Evaluator(), nets or {"net": toys.net(4, 1)}, updates or toys.adam(),
                   source or toys.points(), **options)


@pytest.fixture(scope="module")
def one():
    """A trainer for the tests that only look."""
    return trainer()


def array_source(batch):
    return ArraySource(ARRAYS, batch)


def dataset_source(batch):
    return DatasetSource(tf.data.Dataset.from_tensor_slices(ARRAYS), batch)


def absolute_error(nets):
    return np.abs(nets["net"](toys.POINTS).numpy()[:, 0] - toys.POINTS.sum(axis=1))


@pytest.mark.parametrize("batch", [7, 50, 199, 200])  # 200 is 28·7 + 4, 4·50, 199 + 1, 200
@pytest.mark.parametrize("make", [array_source, dataset_source])
def test_means_are_exact_for_any_batch_size(one, make, batch):
    source = make(batch)
    expected = {"index": 99.5, "odd": 0.5, "half": 1.5, "nan_on_padding": 99.5, "inf_on_padding": 1.0}
    for _ in range(2):  # again, from the start
        found = one.evaluate(source)
        assert {name: found.pop(name) for name in expected} == expected
        assert found == {"absolute_error": pytest.approx(absolute_error(one.nets).mean(), rel=1e-5)}


@pytest.mark.parametrize("make", [array_source, dataset_source])
def test_examples_come_in_stored_order(one, make):
    def metrics(nets, batch, noise):
        return {"index": batch["index"], "point": batch["x"], "y": nets["net"](batch["x"])[:, 0]}

    found = one.examples(metrics, make(64))
    np.testing.assert_array_equal(found["index"], np.arange(200))
    np.testing.assert_array_equal(found["point"], toys.POINTS)
    np.testing.assert_allclose(found["y"], one.nets["net"](toys.POINTS)[:, 0], rtol=1e-4, atol=1e-6)


def test_draws_are_the_same_at_every_evaluation():
    class Noisy(toys.Fit):
        def metrics(self, nets, batch, noise):
            return {"u": noise.uniform("u") + batch["jitter"]}

    def jittered(batch, noise):
        return {**batch, "jitter": noise.uniform("jitter")}

    source = ArraySource(ARRAYS, 64, transform=jittered)
    made = trainer(Noisy(), source=source)
    first = made.evaluate(source)["u"]
    made.train(cycles=3)
    assert made.evaluate(source)["u"] == first == pytest.approx(1.0, abs=0.15)
    drawn = made.examples(made.strategy.metrics, source)["u"]
    assert len(np.unique(drawn)) == 200 and drawn.mean() == pytest.approx(first, rel=1e-6)


def test_evaluation_follows_the_weights_and_does_not_disturb_the_training_data():
    source = dataset_source(8)
    evaluated, alone = trainer(source=source), trainer(source=dataset_source(8))
    alone.nets["net"].set_weights(evaluated.nets["net"].get_weights())
    for length in (3, 6):
        evaluated.train(cycles=length)
        assert evaluated.evaluate(source)["absolute_error"] == pytest.approx(
            absolute_error(evaluated.nets).mean(), rel=1e-5)
    alone.train(cycles=6)
    np.testing.assert_array_equal(toys.bits(evaluated.engine, evaluated.nets), toys.bits(alone.engine, alone.nets))


def test_a_strategy_without_metrics_has_none():
    made = trainer(toys.TinyGAN(), toys.gan_nets(), {"critic": toys.adam(), "generator": toys.adam()})
    assert made.evaluate(toys.points()) == {} and made.metric_names(toys.points()) == []


@pytest.mark.parametrize("metric, text", [
    (lambda x: tf.reduce_mean(x), r"`evaluation bad` \(shape \[\]\) must be of first axis 8, one number per example"),
    (lambda x: tf.reduce_mean(x, axis=0), r"`evaluation bad` \(shape \[6\]\) must be of first axis 8"),
    (lambda x: x[:, :1], r"`metric bad` \(shape \[8, 1\]\) must be one number per example"),
])
def test_metrics_are_one_number_per_example(metric, text):
    class Bad(toys.Fit):
        def metrics(self, nets, batch, noise):
            return {"bad": metric(batch["x"])}

    with pytest.raises(Invalid, match=text):
        trainer(Bad()).evaluate(toys.points(8))


def test_sources_that_were_evaluated_long_ago_are_not_kept_and_a_recent_one_is_not_compiled_anew():
    one, first, passed = trainer(plan="graph"), toys.points(50), []
    one.evaluate(first)
    kept = one._evaluator.of(one.strategy.metrics, first)
    for _ in range(evaluator.KEPT + 3):
        source = toys.points(50)
        one.evaluate(source)
        one.evaluate(first)
        passed.append(weakref.ref(source))
        del source
    gc.collect()
    assert sum(each() is not None for each in passed) == evaluator.KEPT - 1
    assert one._evaluator.of(one.strategy.metrics, first) is kept


def test_a_trainer_that_is_dropped_is_gone_with_its_nets_and_metrics():
    def used():  # a frame of its own: TensorFlow reads the locals of those around it
        one = trainer(plan="graph")
        one.train(cycles=2)
        one.evaluate(toys.points(50))
        return [weakref.ref(each) for each in (one, one.engine, one.nets["net"], one._evaluator)]

    left = used()
    gc.collect()
    assert [each() for each in left] == [None] * 4
