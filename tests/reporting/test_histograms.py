"""Histograms of weights and gradients: those of the arrays, on request alone, and the training goes on as without."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util import event_pb2

from engine import ArraySource, Every, Recording, Trainer, Writer, prepare
from engine.data.dataset_source import DatasetSource
from engine.reporting.tensorboard import EventFile, TensorBoard
from tests import toys


class Kept(Writer):
    """The arrays themselves."""

    def __init__(self):
        self.arrays = {}

    def histograms(self, moment, values):
        self.arrays |= {(name, moment.cycle): value for name, value in values.items()}


def made(folder, histograms, writers, plan="graph"):
    prepare(0)
    return Trainer(toys.Fit(), {"net": toys.net(3, 1)}, toys.adam(), toys.points(8), held_out=toys.points(50),
                   run_dir=folder, record=Recording(histograms=histograms, evaluate=Every(epochs=1)), writers=writers,
                   plan=plan, say=lambda line: None)


def written(folder):
    """{(tag, step): [buckets, (left, right, count)]}"""
    found = {}
    for path in sorted(folder.glob("events.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = event_pb2.Event.FromString(record.numpy())
            found |= {(value.tag, event.step): tf.make_ndarray(value.tensor) for value in event.summary.value
                      if value.metadata.plugin_data.plugin_name == "histograms"}
    return found


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, kept = tmp_path_factory.mktemp("histograms") / "run", Kept()
    trainer = made(folder, True, [TensorBoard(), kept])
    trainer.train(epochs=2)
    return trainer, kept.arrays, written(folder / "tensorboard" / "training")


def test_the_event_file_holds_numpys_counts(run):
    _, kept, found = run
    assert set(found) == set(kept) and {step for _, step in found} == {25, 50}
    for key, rows in found.items():
        counts, edges = np.histogram(kept[key].astype("float64"), 30)
        np.testing.assert_array_equal(rows[:, 2], counts)
        np.testing.assert_allclose(rows[:, 0], edges[:-1])
        np.testing.assert_allclose(rows[:, 1], edges[1:])


def test_weights_are_those_at_the_moment(run):
    trainer, kept, _ = run
    for v in trainer.nets["net"].trainable_variables:
        np.testing.assert_array_equal(kept[f"weights/net/{v.path}", 50], v.numpy())


def test_gradients_are_those_of_the_next_update(run):
    trainer, kept, _ = run
    net, batch = trainer.nets["net"], trainer.data.batch(tf.constant(50, tf.int64), ())
    with tf.GradientTape() as tape:
        loss = sum(tf.reduce_mean(each) for each in toys.Fit().loss(trainer.nets, batch, None).values())
    for v, gradient in zip(net.trainable_variables, tape.gradient(loss, [v.value for v in net.trainable_variables]),
                           strict=True):
        np.testing.assert_allclose(kept[f"gradients/fit/net/{v.path}", 50], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("plan", ["graph", "eager"])
def test_the_training_is_the_same_with_and_without(plan, tmp_path):
    with_them, without = Kept(), Kept()
    trainers = [made(tmp_path / "with", True, [with_them], plan), made(tmp_path / "without", False, [without], plan)]
    for trainer in trainers:
        trainer.train(epochs=2)
    assert with_them.arrays and not without.arrays
    assert [trainer.engine.plan.traces for trainer in trainers] == ([1, 1] if plan == "graph" else [0, 0])
    for ours, theirs in zip(*(trainer.averaged("net") for trainer in trainers), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_data_that_are_read_in_sequence_are_left_alone(tmp_path):
    prepare(0)
    data = tf.data.Dataset.from_tensor_slices({"x": toys.POINTS, "index": np.arange(200, dtype="int32")})
    kept = Kept()
    trainer = Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), DatasetSource(lambda: data, 8, 200),
                      run_dir=tmp_path / "run", record=Recording(histograms=True), writers=[kept], plan="graph",
                      say=lambda line: None)
    trainer.train(epochs=1)
    assert {name.partition("/")[0] for name, _ in kept.arrays} == {"weights"} and trainer.gradients() == {}


def test_numbers_that_are_not_finite_are_left_out(tmp_path):
    file = EventFile(tmp_path)
    file.histograms(3, {"some": np.array([1.0, np.nan, 2.0, np.inf]), "none": np.array([np.nan])})
    file.close()
    rows, = written(tmp_path).values()
    assert rows[:, 2].sum() == 2 and set(written(tmp_path)) == {("some", 3)}


def test_gradients_of_two_phases(tmp_path):
    prepare(0)
    trainer = Trainer(toys.TinyGAN(), toys.gan_nets(), {"critic": toys.adam(), "generator": toys.adam()},
                      ArraySource({"x": toys.POINTS, "index": np.arange(200, dtype="int32")}, 8), plan="eager")
    trainer.train(cycles=1)
    assert {"/".join(name.split("/")[:2]) for name in trainer.gradients()} == {"critic/critic", "generator/generator"}
