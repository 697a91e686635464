"""All updates of a call as one launch: what runs on a GPU, here by XLA on the CPU."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import engine.device
from engine import ArraySource, DatasetSource
from engine.cycle.inputs import Context
from engine.data.augment import Chain, Flip, Shift, scale
from engine.run.cost import operations
from tests import bucketed, toys
from tests.cycle.test_health import first_hit, poisoned


@pytest.fixture(autouse=True)
def launches(monkeypatch):
    """This process computes as on a GPU."""
    monkeypatch.setattr(engine.device, "CPU", engine.device.CPU._replace(one_launch=True, shards=False))


def kinds(made):
    """The operations of the outermost graph, its launch aside."""
    made.run(0)
    return {operation.type for operation in made.plan.graph.get_operations()}


def test_it_is_one_launch_of_xla_and_no_loop_around_it():
    made, _ = toys.gan(plan="xla")
    assert "While" not in kinds(made) and "StatelessWhile" not in kinds(made)
    assert made.program.kind == "launch"
    inside = operations(made.plan.graph)
    assert inside["RandomIndexShuffle"] == inside["StatelessRandomNormalV2"] == 0
    assert inside["If"] == inside["StatelessIf"] == inside["Case"] == inside["StatelessCase"] == 0  # nothing to wait at


def test_sources_that_are_read_outside_have_blocks():
    data = tf.data.Dataset.from_tensor_slices({"x": toys.POINTS, "index": np.arange(200, dtype="int32")})
    made = toys.engine(toys.Fit(), {"net": toys.net(1)}, {"fit": toys.adam()}, DatasetSource(data, 8), plan="xla")
    assert made.program.kind == "block"


def test_it_follows_the_graph_within_rounding_on_the_same_draws():
    reference, nets = toys.gan(plan="graph", average=0.9, accumulate=2)
    expected = reference.run(6)
    made, others = toys.gan(plan="xla", average=0.9, accumulate=2)
    report = made.run(6)
    np.testing.assert_allclose(toys.bits(made, others), toys.bits(reference, nets), rtol=1e-4, atol=1e-5)
    assert report.rejected == expected.rejected and made.place == reference.place
    for phase, terms in expected.totals.items():
        for term, (total, count) in terms.items():
            assert report.totals[phase][term][1] == count
            assert float(report.totals[phase][term][0]) == pytest.approx(float(total), rel=1e-4, abs=1e-4)


def test_calls_of_any_length_have_the_same_bits():
    ends = []
    made, nets = toys.gan(plan="xla", average=0.9)
    rewind = toys.rewinding(made)
    for lengths in ([12], [1, 8, 3], [1] * 12):
        rewind()
        for length in lengths:
            made.run(length)
        ends.append(toys.bits(made, nets))
    np.testing.assert_array_equal(ends[1], ends[0])
    np.testing.assert_array_equal(ends[2], ends[0])


def test_a_fault_in_the_middle_of_a_cycle_stops_there_and_is_tried_again():
    strategy, nets = toys.TinyGAN(), toys.gan_nets()
    critic, gate = strategy.critic, tf.Variable(np.inf)
    strategy.critic = lambda nets, batch, noise: {
        name: term + tf.where(tf.reduce_any(batch["index"] == 77), gate, 0.0)
        for name, term in critic(nets, batch, noise).items()}
    made = toys.engine(strategy, nets, {"critic": toys.adam(), "generator": toys.adam()}, toys.points(8), plan="xla")
    hit = first_hit(made.source)
    assert hit % 5  # within a cycle
    report = made.run(10)
    assert (report.fault.cycle, report.fault.phase, report.fault.update) == (hit // 5, "critic", hit)
    assert toys.done(made) == {"critic": hit, "generator": hit // 5, "": hit}
    assert int(made.parts["critic"].commit.update.optimizer.iterations) == hit
    assert report.totals["critic"]["penalty"][1] == hit * 8
    stopped = toys.bits(made, nets)
    assert made.run(1).stopped
    np.testing.assert_array_equal(toys.bits(made, nets), stopped)
    gate.assign(0.0)
    assert not made.run(1).stopped  # the rest of the cycle that was begun, and no more
    assert toys.done(made) == {"critic": 5 * (hit // 5 + 1), "generator": hit // 5 + 1,
                                                "": 5 * (hit // 5 + 1)}


@pytest.mark.parametrize("where", ["gradient", "input"])
def test_a_bad_update_is_the_only_one_left_out(where):
    ends = []
    made, nets = poisoned(where, on_bad_update="skip", plan="xla")
    rewind = toys.rewinding(made)
    for lengths in ([70], [1, 2, 40, 27]):
        rewind()
        reports = [made.run(length) for length in lengths]
        assert sum(report.rejected["fit"] for report in reports) == 3  # example 77, once in each epoch of 25
        assert sum(report.totals["fit"]["error"][1] for report in reports) == 67 * 8
        ends.append(toys.bits(made, nets))
    assert np.isfinite(ends[0]).all()
    np.testing.assert_array_equal(ends[1], ends[0])


def test_a_loss_scale_shrinks_by_an_overflow_and_by_nothing_else():
    ends = []
    for plan in ("graph", "xla"):
        keras.utils.set_random_seed(0)
        nets = {"net": toys.net(4, 1)}
        made = toys.engine(toys.Fit(), nets, {"fit": toys.adam()}, toys.points(), plan=plan, loss_scaling=True)
        made.parts["fit"].commit.loss_scale.scale.assign(2.0**127)
        rejected = made.run(20).rejected["fit"]
        assert 0 < rejected < 20
        ends.append((rejected, float(made.parts["fit"].commit.loss_scale.scale),
                     int(made.parts["fit"].commit.loss_scale.good)))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("kind, shape", [("uniform", [3]), ("normal", [2, 5])])
def test_draws_made_inside_are_those_made_outside(kind, shape):
    class Drawing(toys.Fit):
        def loss(self, nets, batch, noise):
            drawn = getattr(noise, kind)("z", shape) * (1.0 + 0.0 * nets["net"](batch["x"])[0, 0])
            return {"drawn": tf.reduce_sum(drawn, axis=list(range(1, len(shape) + 1)))}

    made = toys.engine(Drawing(), {"net": toys.net(1)}, {"fit": toys.adam()}, toys.points(), plan="graph")
    draws = made.steps["fit"].inputs
    for update in (0, 7, 2**40 + 3):
        number = tf.constant(update, tf.int64)
        outside = draws.of(number, [number], Context()).loss["z"]
        compiled = tf.function(lambda number: draws.inside().of(number, [number], Context()), jit_compile=True)
        inside = compiled(number)
        np.testing.assert_allclose(inside.loss["z"], outside, rtol=0, atol=0 if kind == "uniform" else 2e-6)
        outside = draws.of(number, [number], Context())
        np.testing.assert_array_equal(inside.raw["data"]["index"], outside.raw["data"]["index"])


def test_augmentation_draws_anew_for_every_batch_and_as_in_a_graph():
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1)).astype("uint8")
    seen = []
    for plan in ("graph", "xla"):
        keras.utils.set_random_seed(0)
        net = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])

        class Read(toys.Fit):
            def loss(self, nets, batch, noise):
                picture = tf.reduce_sum(batch["x"] * tf.reshape(tf.range(64.0), [8, 8, 1]), axis=[1, 2, 3])
                return {"picture": picture + 0.0 * nets["net"](batch["x"])[:, 0]}

        source = ArraySource({"image": images}, 8, seed=3, transform=lambda batch, noise: {
            "x": Chain(Flip(), Shift(2), scale)(batch, noise)["image"]})
        made = toys.engine(Read(), {"net": net}, {"fit": toys.adam()}, source, plan=plan)
        seen.append([float(made.run(1).totals["fit"]["picture"][0]) for _ in range(6)])
    assert seen[0] == pytest.approx(seen[1], rel=1e-6)
    assert len(set(seen[0])) == 6


@pytest.mark.parametrize("accumulate", [1, 2])
def test_batches_of_several_lengths_are_those_of_plain_tensorflow(accumulate):
    made, nets, _ = bucketed.made("xla", accumulate=accumulate)
    assert made.program.kind == "launch"
    expected, sums, seen = bucketed.by_hand(nets["net"].get_weights(), 8, accumulate=accumulate)
    assert len(set(seen)) == 3
    assert [float(each) for each in made.run(8).totals["fit"]["error"]] == pytest.approx(sums, rel=1e-4)
    for ours, theirs in zip(nets["net"].get_weights(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
