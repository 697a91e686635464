"""``--check``: what it reports of sound runs and of each fault, and that it changes nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, DatasetSource, Invalid, LossStrategy, Phase, Trainer, Update, prepare
from engine.run import check_data, check_phases, check_report
from engine.run.check_data import Column, pictures
from engine.run.check_phases import Attempt
from engine.run.check_text import duration, rounded, shortened, size, table
from engine.run.state import variables_of
from tests import toys


class One(LossStrategy):
    """One phase around a loss of its own; ``options`` go to the phase."""

    def __init__(self, loss, **options):
        self.phase = Phase("fit", loss, updates=["net"], **options)

    def phases(self):
        return [self.phase]


def one(term, net=None, source=None, update=None, phase=None, **options):
    """A trainer of one net whose only term is ``term(y, batch)``."""
    def loss(nets, batch, noise):
        return {"error": term(nets["net"](batch["x"], training=True), batch)}

    return Trainer(One(loss, **(phase or {})), {"net": net or toys.net(4, 1)}, update or toys.adam(),
                   source or toys.points(8), say=lambda text: None, **options)


def gan(**options):
    return Trainer(toys.TinyGAN(), toys.gan_nets(), {"critic": Update(toys.adam(), clip_norm=0.5, average=0.9),
                                                     "generator": toys.adam()},
                   toys.points(), say=lambda text: None, **options)


def classes(labels, net=None, plan="graph", **options):
    """A trainer of a classifier of three classes."""
    source = ArraySource({"x": np.tile(toys.POINTS, [-(-len(labels) // 200), 1])[:len(labels)],
                          "label": np.asarray(labels, np.int32)}, 8)
    return one(lambda y, batch: tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label"], y),
               net or toys.net(4, 3), source, plan=plan, **options)


def noisy_net():
    """With state of every kind: weights, statistics, a seed generator."""
    return keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5),
                             keras.layers.Dense(1)])


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(check_phases, "SECONDS", 0.02)


def everything(trainer):
    """The bytes of all variables, the seed generators' too."""
    seeds = [v.numpy().tobytes() for net in trainer.nets.values() for v in net.variables]
    return {name: v.numpy().tobytes() for name, v in variables_of(trainer.engine).items()}, seeds


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_a_sound_run_is_reported_and_left_as_it_was(plan):
    made, other = gan(plan=plan), gan(plan=plan)
    before = everything(made)
    found = made.check(cycles=10)
    assert everything(made) == before
    assert (made.engine.place.slot, made.engine.plan.traces) == (0, 0)
    assert (found.faults, found.warnings, found.pictures) == ([], [], None)
    assert str(found).endswith("\n\nno problems found")
    report = [" ".join(line.split()) for line in found.lines]
    for line in ("as stored, 200 examples", "200 examples: 25 batches of 8 per epoch",
                 "index int32 - 0 99.5 199",
                 "generator Sequential 4 182 728 B 1.5 kB - 2.2 kB",
                 "critic Sequential 4 129 516 B 1.0 kB 516 B 2.1 kB",
                 "all 8 311 1.2 kB 2.5 kB 516 B 4.3 kB",
                 "phase critic: 5 per cycle; moves critic by Adam; gradient norm at most 0.5; draws z, mix",
                 "finite with all weights of generator at 0: yes"):
        assert line in report, report
    if plan != "xla":  # which takes long to compile both
        for each in (made, other):
            each.engine.run(2)
        assert everything(made) == everything(other)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_values_are_those_of_the_next_update(accumulate):
    def trainer():
        return one(lambda y, batch: tf.square(y[:, 0] - 1.0), noisy_net(),
                   update=Update(toys.adam(), accumulate=accumulate), 
                   phase={"weights": {"error": 3.0}, "separable": accumulate > 1})

    keras.utils.set_random_seed(0)
    made = trainer()
    for rolled_back in (False, False, True):
        if rolled_back:  # other batches and draws come next
            made.engine.detour(made.engine.place)
        (attempt,) = made.check().attempts
        report = made.engine.run(1).totals["fit"]
        total, count = report["error"]
        assert attempt.means["error"] == pytest.approx(float(total) / count, rel=1e-6)
        assert attempt.means["objective"] == pytest.approx(3 * attempt.means["error"], rel=1e-6)
        assert attempt.norms["net"] == pytest.approx(float(report["gradient_norm"][0]), rel=1e-5)
        assert attempt.seconds > 0


def test_gradient_norms_are_told_of_each_net():
    def loss(nets, batch, noise):
        return {"sum": 3 * tf.reduce_sum(nets["a"](batch["x"])) + 4 * tf.reduce_sum(nets["b"](batch["x"]))}

    class Two(LossStrategy):
        def phases(self):
            return [Phase("fit", loss, updates=["a", "b"])]

    nets = {name: keras.Sequential([keras.layers.Dense(1, kernel_initializer="zeros")]) for name in "ab"}
    source = ArraySource({"x": np.ones([8, 1], "float32")}, 4)
    found = Trainer(Two(), nets, toys.adam(), source, say=lambda text: None).check()
    # each net has two gradients, of kernel and bias, each 4 examples times the factor
    assert found.attempts[0].norms == pytest.approx({"a": 12 * 2**0.5, "b": 16 * 2**0.5})
    assert "x is 1 in all 8 examples looked at: it tells nothing; check how it is read" in found.warnings


def test_check_in_the_middle_of_a_run_leaves_its_reader_where_it_was():
    def trainer():
        dataset = tf.data.Dataset.from_tensor_slices({"x": toys.POINTS})
        return one(lambda y, batch: tf.square(y[:, 0] - 1.0), toys.net(1), DatasetSource(dataset, 8))

    keras.utils.set_random_seed(0)
    made = trainer()
    keras.utils.set_random_seed(0)
    other = trainer()
    for look in (lambda: check_phases.attempt(made.engine, made.nets, "fit"), made.check):
        for each in (made, other):
            each.engine.run(3)
        look()
    for each in (made, other):
        each.engine.run(3)
    assert everything(made) == everything(other)


def test_an_epoch_is_estimated_where_no_length_is_given():
    made = one(lambda y, batch: tf.square(y[:, 0]))
    made.engine.run(5)
    (time,) = [line for line in made.check().lines if line.startswith("  time ")]
    assert " for 20 cycles; " in time
    with pytest.raises(Invalid, match=r"`train` \(.*\) must be given exactly one of cycles and epochs"):
        made.check(cycles=1, epochs=1)


def test_a_schedule_s_weight_is_that_of_the_next_update():
    ramp = keras.optimizers.schedules.PolynomialDecay(0.0, 10, end_learning_rate=1.0)
    made = one(lambda y, batch: tf.square(y[:, 0]), phase={"weights": {"error": ramp}})
    made.engine.run(4)
    found = made.check()
    assert [line.split()[2] for line in found.lines if line.startswith("  error ")] == ["0.4"]
    assert found.attempts[0].means["objective"] == pytest.approx(0.4 * found.attempts[0].means["error"], rel=1e-5)


def test_time_and_memory_follow_from_the_trials():
    made = gan()
    lines = check_report.of_cost(made.engine, made.nets, [Attempt("critic", seconds=0.01, compiling=1.0),
                                                          Attempt("generator", seconds=0.02, compiling=2.0)], 100)
    assert "4.3 kB nets and optimizers, 728 B gradients, 5.6 kB data, " in lines[2]
    # 5 critic updates and one of the generator; 25 batches are 5 cycles
    assert lines[3] == "  time    70 ms per cycle, 350 ms per epoch, 7 s for 100 cycles; and 3 s to compile"


@pytest.mark.parametrize("once, updates, seconds", [(0.5, 3, 0.25), (1e-9, 200, 0.25), (1.0, None, 1.0)])
def test_as_many_updates_are_timed_as_fit(once, updates, seconds, monkeypatch):
    monkeypatch.setattr(check_phases, "SECONDS", 1.5)
    asked = []
    ticks = iter([10.0, 10.0 + 0.25 * (updates or 0)])
    assert check_phases._time(asked.append, once, lambda: next(ticks)) == pytest.approx(seconds)
    assert asked == ([updates] if updates else [])


# Faults: training cannot begin.


def nan_at_0(x):
    return tf.sqrt(tf.reduce_sum(x * x, axis=1))


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_a_term_that_is_not_finite_is_a_fault(plan):
    found = one(lambda y, batch: tf.math.log(tf.abs(y[:, 0]) - 1e6), plan=plan).check()
    (fault,) = found.faults
    assert fault.startswith("phase fit: error is not finite at the first update: look for the logarithm, root or ")
    assert fault.endswith("; index runs from 0 to 199: does the net have a place for each?")
    assert "  fault    phase fit: error is not finite" in str(found)


def test_a_gradient_that_is_not_finite_is_a_fault_of_its_variable():
    found = one(lambda y, batch: nan_at_0(y - y) + y[:, 0], toys.net(1, name="last")).check()
    (fault,) = found.faults
    assert fault.startswith("phase fit: the gradient of sequential")
    assert "last/kernel, " in fault and "last/bias is not finite at the first update" in fault


@pytest.mark.parametrize("plan, said", [
    ("eager", "phase fit cannot run: Received a label value of 3 which is outside the valid range of [0, 3)."),
    ("graph", "phase fit cannot run: Received a label value of 3 which is outside the valid range of [0, 3)."),
    ("xla", "phase fit: error is not finite at the first update"),
])
def test_a_label_out_of_range_is_a_fault_that_tells_the_labels_range(plan, said, monkeypatch):
    monkeypatch.setattr(ArraySource, "range_of", lambda *_: None)  # as of a dataset, which does not know
    found = classes(np.arange(400) % 3 + 1, plan=plan).check()
    (fault,) = found.faults
    assert fault.startswith(said)
    assert fault.endswith("; label runs from 1 to 3: does the net have a place for each?")
    assert "\n" not in fault
    assert ("  time    unknown" in found.lines) == (plan != "xla")


def test_an_overflow_in_float16_is_no_fault():
    prepare(0, "float16")
    found = one(lambda y, batch: 1000 * tf.cast(tf.square(y[:, 0]), tf.float32), precision="float16").check()
    assert not np.isfinite(found.attempts[0].norms["net"])
    assert found.faults == []


def test_data_that_cannot_be_read_are_one_line():
    def broken():
        yield {"x": toys.POINTS[0]}
        raise OSError("the disk is gone")

    dataset = tf.data.Dataset.from_generator(broken, output_signature={"x": tf.TensorSpec([6])})
    made = one(lambda y, batch: tf.square(y[:, 0]), source=DatasetSource(dataset, 2, size=8))
    with pytest.raises(Invalid, match=r"^`data` \(.*the disk is gone.*\) must be readable$"):
        made.check()


def test_a_loss_that_refuses_weights_of_0_is_no_fault():
    def wary(y, batch):
        tf.debugging.assert_greater(tf.reduce_max(tf.abs(y)), 0.0)
        return tf.square(y[:, 0])

    found = one(wary, plan="eager").check()
    assert (found.faults, found.warnings, found.attempts[0].at_zero) == ([], [], None)


# Warnings, each with its remedy.


def test_a_penalty_without_a_guard_is_not_finite_at_0():
    class Bare(toys.TinyGAN):
        def critic(self, nets, batch, noise):
            with tf.GradientTape() as tape:
                tape.watch(batch["x"])
                scores = nets["critic"](batch["x"], training=True)
            gradient = tape.gradient(scores, batch["x"])
            return {"wasserstein": scores[:, 0], "penalty": tf.square(nan_at_0(gradient) - 1.0)}

    for plan in ("graph", "xla"):
        found = Trainer(Bare(), toys.gan_nets(), {"critic": toys.adam(), "generator": toys.adam()}, toys.points(),
                        plan=plan, say=lambda text: None).check()
        assert found.faults == []
        (warning,) = found.warnings
        assert warning.startswith("phase critic: with all weights of critic at 0, the gradient of sequential")
        assert warning.endswith("add a small number inside it, as in tf.sqrt(squares + 1e-12)")
        assert any(line.startswith("  finite with all weights of critic at 0: no: seq") for line in found.lines)


class Partly(keras.Model):
    def __init__(self):
        super().__init__()
        self.used, self.idle = keras.layers.Dense(1), keras.layers.Dense(1, name="idle")

    def call(self, x, training=False):
        return self.used(x) + tf.stop_gradient(self.idle(x))


def test_variables_without_gradient_are_named():
    found = one(lambda y, batch: tf.square(y[:, 0]), Partly()).check()
    (line,) = [line for line in found.lines if "without gradient" in line]
    assert "idle/kernel, " in line and "idle/bias" in line
    (warning,) = found.warnings
    assert warning.endswith("idle/bias of net net: let the loss use them, or set their trainable to False")


@pytest.mark.parametrize("scale, update, text", [
    (0.0, None, "phase fit: the gradient of net net is 0: a saturated or dead activation"),
    (1e6, None, "phase fit: the gradient of net net has a norm of "),
    (1e6, "clipped", None),
])
def test_a_gradient_of_0_or_a_steep_one_is_warned_of(scale, update, text):
    update = Update(toys.adam(), clip_norm=1.0) if update else toys.adam()
    warnings = one(lambda y, batch: scale * y[:, 0], update=update).check().warnings
    assert [warning[:len(text or "")] for warning in warnings] == [text] * bool(text)


def test_uneven_classes_are_warned_of(monkeypatch):
    monkeypatch.setattr(check_data, "SECONDS", 600.0)  # all examples, on a slow machine too
    even = classes(np.arange(304) % 3).check()
    assert even.warnings == []
    assert "  label: 3 classes from 0 to 2, of 101 to 102 examples" in even.lines
    uneven = classes(np.where(np.arange(1600) % 40, 0, 2)).check()
    assert "  label: 2 classes from 0 to 2, of 40 to 1,560 examples (0: 97.5%, 2: 2.5%)" in uneven.lines
    assert uneven.warnings == ["label: 40 examples of class 2 to 1,560 of class 0: weigh the classes in the loss, or "
                               "repeat the rare ones, and look at each class's accuracy"]
    assert classes(np.ones(16)).check().warnings[0].startswith("label is 1 in all 16 examples looked at")


def image_net():
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])


def of_images(transform=lambda batch, noise: batch, x=None):
    x = np.random.default_rng(0).integers(0, 256, [40, 4, 4, 3]).astype("uint8") if x is None else x
    source = ArraySource({"x": x}, 8, transform=transform)
    return one(lambda y, batch: tf.square(y[:, 0]), image_net(), source).check()


def test_images_out_of_range_and_what_a_transform_spoils_are_warned_of():
    def scaled(low, high):
        return lambda batch, noise: {"x": low + (high - low) / 255 * tf.cast(batch["x"], tf.float32)}

    assert of_images(scaled(0.0, 1.0)).warnings == of_images(scaled(-1.0, 1.0)).warnings == []
    assert of_images(scaled(0.0, 2.0)).warnings == [
        "x runs from 0 to 2 after the transform: nets want pictures in [0, 1] or [-1, 1]; use "
        "engine.data.augment.scale, or divide by 255"]
    assert of_images().warnings[0].startswith("x runs from 0 to 255 after the transform: ")
    assert of_images(scaled(0.5, 0.5)).warnings == ["x is 0.5 throughout after the transform: mend the transform"]
    x = np.random.default_rng(0).random([40, 4, 4, 3], "float32")
    x[3, 0, 0] = np.nan
    found = of_images(lambda batch, noise: {"x": tf.where(tf.math.is_nan(batch["x"]), 0.0, batch["x"])}, x)
    assert found.faults == []
    assert found.warnings == ["x: 3 numbers in 40 examples are not finite: mend or leave out these examples"]


def test_pictures_are_those_that_the_net_gets():
    def transform(batch, noise):
        bright = tf.cast(batch["x"], tf.float32) / 255 * noise.uniform("light", [1, 1, 1])
        return {"x": 2 * bright - 1, "label": batch["label"]}

    x = np.random.default_rng(0).integers(0, 256, [40, 4, 4, 3]).astype("uint8")
    source = ArraySource({"x": x, "label": np.arange(40)}, 8, transform=transform)
    seen = []

    def keeps(y, batch):
        seen.append(batch["x"])
        return tf.square(y[:, 0])

    made = one(keeps, image_net(), source, plan="eager")
    images, captions = made.check().pictures
    made.engine.run(1)
    np.testing.assert_allclose(2 * images - 1, seen[-1].numpy(), atol=1e-6)
    reader = source.batch(tf.constant(0, tf.int64), ())
    assert captions == [str(label) for label in reader["label"].numpy()]


@pytest.mark.parametrize("values, expected", [
    (np.array([0, 51, 255], "uint8"), [0, 0.2, 1]),
    (np.array([0, 0.25, 0.5], "float32"), [0, 0.25, 0.5]),
    (np.array([-1, 0, 0.5], "float32"), [0, 0.5, 0.75]),
    (np.array([-3, 0, 5], "float32"), [0, 0.375, 1]),
    (np.array([2, 2, 2], "float32"), [0, 0, 0]),
])
def test_pictures_of_any_range_are_brought_into_0_to_1(values, expected):
    images, captions = pictures({"image": values.reshape(1, 3, 1, 1)})
    np.testing.assert_allclose(images.ravel(), expected, atol=1e-6)
    assert captions is None


def test_a_column_is_added_up_over_batches():
    column = Column.of(np.array([[1.0, np.nan], [3.0, -2.0]], "float32"))
    column.add(np.array([[np.inf, 6.0]], "float32"))
    assert (column.low, column.mean, column.high, column.not_finite, column.examples) == (-2.0, 2.0, 6.0, 2, 3)
    assert column.classes == {}
    label = Column.of(np.array([2, 0, 2, 2, 0, 2, 2, 2], "int32"))
    assert label.classes == {0: 2, 2: 6}
    assert Column.of(np.arange(8)).classes == {}  # numbers of examples, not labels
    text = Column.of(np.array([b"a", b"b"], object))
    assert (text.is_number, text.classes) == (False, {})


# Texts.


def test_numbers_are_readable():
    assert [rounded(value) for value in (0.123456, 12, 1234567, 65432.1, 1e20, float("nan"), -0.5)] == [
        "0.1235", "12", "1,234,567", "65,432", "1e+20", "nan", "-0.5"]
    assert [size(count) for count in (0, 999, 1000, 99949, 99950, 123456, 2.5e9, 4e15)] == [
        "0 B", "999 B", "1.0 kB", "99.9 kB", "100 kB", "123 kB", "2.5 GB", "4000 TB"]
    assert [duration(seconds) for seconds in (0.00123, 0.5, 1, 59.9, 59.97, 61, 3599.9, 5400, 90000)] == [
        "1.23 ms", "500 ms", "1 s", "59.9 s", "1 min 00 s", "1 min 01 s", "1 h 00 min", "1 h 30 min", "1 d 01 h"]
    assert shortened(list("abcde"), 3) == "a, b, c and 2 more"
    assert table([["a", "bb"], ["ccc", "d"]], indent="") == ["a    bb", "ccc   d"]
