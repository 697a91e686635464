"""The autopsy of a bad update: a sample of the faults that ``python -m tests.faults.autopsy`` plants, and its edges."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, BadUpdate, BucketedSource, LossStrategy, Phase, Ratio, Spike, Trainer, Update, prepare
from engine.run.state import variables_of
from tests import toys
from tests.faults import autopsy as planted

CASES = {f"{case.net}: {case.name}": case for case in planted.cases()}
SAMPLE = ["linear: nan in an example", "linear: a rate of 1e35", "linear: kept-out exp", "autoencoder: nan in a weight",
          "mlp: overflow in kernel 1", "mlp: an input that float16 cannot hold", "own: exp in a layer",
          "attention: masked to the last", "gan: penalty of a log"]


@pytest.mark.parametrize("name", SAMPLE)
def test_a_planted_fault_is_named_with_its_operation_place_and_examples(name):
    right, said = planted.judged(CASES[name])
    assert right, said


def test_there_are_a_hundred_faults_in_ten_nets():
    assert len(planted.cases()) == 100 and len({case.net for case in planted.cases()}) == 10


class Bad(LossStrategy):
    """Bad by ``term(y, index)`` where example 7 is read."""

    def __init__(self, term, **options):
        self.term, self.options = term, options

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"], **self.options)]

    def loss(self, nets, batch, noise):
        y = nets["net"](batch["x"], training=True)[:, 0]
        return {"error": tf.square(y), "odd": self.term(y, batch["index"] == 7)}


def stopped(strategy, **options):
    """A trainer at its bad update."""
    prepare(0)
    update = options.pop("update", keras.optimizers.SGD(1e-3))
    trainer = Trainer(strategy, {"net": toys.net(4, 1)}, update, toys.points(seed=1), say=lambda line: None,
                      **{"plan": "graph", **options})
    assert trainer.autopsy() is None
    with pytest.raises(BadUpdate):
        trainer.train(cycles=25)
    return trainer


def log_of_0(y, bad):
    return tf.math.log(tf.where(bad, 0.0 * y, 2.0 + tf.sin(y)))


@pytest.mark.parametrize("plan", ["graph", "xla"])
def test_under_every_plan_nothing_is_changed_and_going_on_stops_there_again(plan):
    trainer = stopped(Bad(log_of_0, separable=True), plan=plan)
    variables = variables_of(trainer.engine)
    before, place = {name: v.numpy() for name, v in variables.items()}, trainer.engine.place
    found = trainer.autopsy()
    assert (found.stage, found.operation, found.in_data) == ("forward", "Log", (7,))
    assert str(found).startswith(f"autopsy: phase fit, update {found.update}, forward: Log at run/test_autopsy.py:")
    assert "gave -inf for example " in str(found) and "; its input ran from 0 to " in str(found)
    assert trainer.engine.place == place and str(trainer.autopsy()) == str(found)
    for name, value in before.items():
        np.testing.assert_array_equal(variables[name].numpy(), value)
    assert not tf.config.functions_run_eagerly()
    with pytest.raises(BadUpdate):
        trainer.train(cycles=25)


def test_of_a_spike_the_term_and_the_example_are_named():
    strategy = Bad(lambda y, bad: tf.where(bad, 1e9, 0.0) + 0.0 * y)
    found = stopped(strategy, spike=Spike(window=3)).autopsy()
    assert found.stage == "none" and "all is finite: the objective spiked; its largest part is odd, 1e+09" in str(found)


def test_functions_and_loops_inside_of_a_loss_are_looked_into():
    @tf.function
    def inner(y, bad):
        def body(i, y):
            return i + 1, tf.where(bad & (i == 2), tf.sqrt(-1.0 - y * y), y)  # which the others are, too, and lose

        return tf.while_loop(lambda i, y: i < 3, body, [tf.constant(0), y])[1]

    found = stopped(Bad(inner)).autopsy()
    assert (found.operation, found.in_data) == ("Sqrt", (7,)) and "run/test_autopsy.py" in found.line


def test_another_gradient_and_a_ratio_of_micro_batches_are_taken_apart():
    strategy = Bad(lambda y, bad: Ratio(log_of_0(y, bad), tf.ones_like(y)), separable=True)
    found = stopped(strategy, update=Update(keras.optimizers.SGD(1e-3), accumulate=3)).autopsy()
    assert (found.operation, found.in_data) == ("Log", (7,))
    found = stopped(Bad(lambda y, bad: tf.where(bad, 2.0, 1.0) * y),
                    update=Update(keras.optimizers.SGD(1e-3), gradient=lambda pull: [
                        tf.math.log(-tf.abs(each) - 1.0) for each in pull.gradients()[0]])).autopsy()
    assert (found.stage, found.operation) == ("update", "Log")


def test_of_a_phase_that_skips_the_last_of_ten_is_taken_apart():
    trainer = stopped(Bad(lambda y, bad: tf.math.log(0.0 * y)), on_bad_update="skip")
    found = trainer.autopsy()
    assert (found.update, found.operation) == (9, "Log") and "for all 8 examples" in str(found)


def test_a_loss_that_cannot_be_computed_eagerly_is_said_in_one_line():
    def graph_only(y, bad):
        assert not tf.executing_eagerly(), "in a graph alone"
        return log_of_0(y, bad)

    found = stopped(Bad(graph_only)).autopsy()
    assert "cannot be computed operation by operation: AssertionError: in a graph alone" in str(found)


def test_a_batch_of_one_of_several_lengths_is_taken_apart_at_its_own():
    texts = [np.arange(1 + i % 7, dtype="float32") for i in range(40)]
    data = BucketedSource({"x": texts, "index": np.arange(40, dtype="int32")}, 4, buckets=[4, 8])

    class Sums(LossStrategy):
        def phases(self):
            return [Phase("fit", self.loss, updates=["net"])]

        def loss(self, nets, batch, noise):
            y = nets["net"](tf.reduce_sum(batch["x"], axis=1, keepdims=True))[:, 0]
            return {"odd": log_of_0(y, batch["index"] == 7)}

    prepare(0)
    trainer = Trainer(Sums(), {"net": toys.net(1)}, keras.optimizers.SGD(1e-3), data, plan="graph",
                      say=lambda line: None)
    with pytest.raises(BadUpdate):
        trainer.train(cycles=12)
    found = trainer.autopsy()
    assert found.operation == "Log" and len(found.examples) == 1


def test_the_source_tells_the_places_of_a_batch():
    source = ArraySource({"index": np.arange(20)}, 4, seed=3)
    np.testing.assert_array_equal(source.places(8), source.batch(tf.constant(8, tf.int64), ())["index"])
