"""What is changed after a trainer is made is taken over where that is well defined, and refused where it is not."""

import keras
import numpy as np
import pytest

from engine import Invalid, Trainer, Update
from tests import toys


def trainer(update=None, **options):
    keras.utils.set_random_seed(0)
    return Trainer(Weighed(), {"net": toys.net(3, 1)}, update or toys.adam(), toys.points(), plan="graph", **options)


class Weighed(toys.Fit):
    def __init__(self):
        super().__init__()
        self.weight, self.steps, self.table, self.array = 1.0, [1, 2], {"a": 1.0}, np.array([np.nan, 1.0])


def test_a_strategys_attribute():
    made = trainer()
    made.train(cycles=1)
    made.strategy.weight = 1.0  # the same
    made.train(cycles=2)
    made.strategy.weight = 2.0
    with pytest.raises(Invalid, match=r"`strategy.weight` \(2.0\) must be as it was when the Trainer was made, 1.0"):
        made.train(cycles=3)
    assert made.counters.cycles == 2


@pytest.mark.parametrize("change", [
    lambda strategy: strategy.steps.append(3), lambda strategy: strategy.table.update(a=2.0),
    lambda strategy: strategy.array.__setitem__(0, 5.0), lambda strategy: strategy.steps.__setitem__(0, 1.5)])
def test_what_is_changed_inside_a_collection_or_array(change):
    made = trainer()
    made.train(cycles=1)
    made.train(cycles=2)
    change(made.strategy)
    with pytest.raises(Invalid, match=r"`strategy\.\w+` .* must be as it was when the Trainer was made"):
        made.train(cycles=3)


def test_what_is_trainable():
    made = trainer()
    made.nets["net"].layers[0].trainable = False
    with pytest.raises(Invalid, match=r"`trainable of net net` \(.*kernel.*\) must be as it was when the Trainer was"):
        made.train(cycles=1)


def test_another_schedule():
    made = trainer(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 10)))
    optimizer = made.engine.parts["fit"].commit.update.optimizer
    optimizer.learning_rate = keras.optimizers.schedules.CosineDecay(1e-3, 10)
    with pytest.raises(Invalid, match=r"`learning rate of phase fit \(.*\)` .* must be the schedule that it was"):
        made.train(cycles=1)


def test_a_number_as_the_learning_rate_is_taken_over():
    made = trainer(keras.optimizers.SGD(0.1))
    made.train(cycles=1)
    made.engine.parts["fit"].commit.update.optimizer.learning_rate = 0.0
    before = made.nets["net"].get_weights()
    made.train(cycles=2)
    for now, then in zip(made.nets["net"].get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_weights_set_before_the_training_are_those_that_are_averaged():
    made = trainer(Update(keras.optimizers.SGD(0.0), average=0.9))
    made.nets["net"].set_weights([0.0 * w + 3.0 for w in made.nets["net"].get_weights()])
    made.train(cycles=2)
    assert all(np.all(average.numpy() == 3.0) for _, average in made.engine.averages)


def test_a_rollback_needs_a_folder():
    with pytest.raises(Invalid, match=r"`on_bad_update` \(rollback\) must be with a run_dir"):
        trainer(on_bad_update="rollback")


def test_a_normalisation_over_one_value_is_warned_of():
    said = []
    net = keras.Sequential([keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    Trainer(toys.Fit(), {"net": net}, toys.adam(), toys.points(1), say=said.append)
    assert said == ["warning: phase fit: a normalisation takes the mean of a single value, which leaves nothing of its "
                    "input: use larger batches, or layer normalisation"]


def test_averaged_weights_are_evaluated_with_averaged_statistics():
    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.layers.BatchNormalization(momentum=0.5), keras.layers.Dense(1)])
    made = Trainer(toys.Fit(), {"net": net}, Update(toys.adam(), average=0.9), toys.points(), plan="graph")
    made.train(cycles=8)
    averages = [average.numpy() for _, average in made.engine.averages]
    assert len(averages) == len(net.weights) == 6
    found = made.evaluate(toys.points())
    raw = net.get_weights()
    order = [next(i for i, v in enumerate(net.weights) if v is variable) for variable, _ in made.engine.averages]
    for place, average in zip(order, averages, strict=True):
        net.weights[place].assign(average)
    x = toys.POINTS
    expected = np.abs(np.asarray(net(x))[:, 0] - x.sum(axis=1)).mean()
    assert found["absolute_error"] == pytest.approx(expected, rel=1e-4)
    assert any(not np.allclose(a, raw[place]) for place, a in zip(order, averages, strict=True))


class Unnamed(keras.layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=[shape[-1]], initializer="ones")

    def call(self, x):
        return x * self.scale


def test_saved_names_do_not_hang_on_what_else_the_process_made(tmp_path):
    """Keras numbers a weight without a name, and a slot of Nadam, by all that it has made before."""
    def made():
        keras.utils.set_random_seed(0)
        return Trainer(toys.Fit(), {"net": keras.Sequential([Unnamed(), keras.layers.Dense(1)])},
                       keras.optimizers.Nadam(0.01), toys.points(), run_dir=tmp_path, record=False, plan="graph")

    first = made()
    first.train(cycles=3)
    first.save()
    keras.Sequential([Unnamed(), keras.layers.Dense(1)]).build([None, 6])
    again = made()
    assert again.continued and again.counters.cycles == 3
    np.testing.assert_array_equal(toys.bits(again.engine, again.nets), toys.bits(first.engine, first.nets))
