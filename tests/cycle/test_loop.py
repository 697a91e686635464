"""The order of updates, and blocks of updates under XLA."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import DatasetSource
from engine.cycle import block, program
from engine.cycle.inputs import Context
from engine.run.cost import _inner
from tests import toys
from tests.cycle.test_health import poisoned


@pytest.mark.parametrize("where", ["gradient", "input"])
def test_a_bad_update_inside_a_block_is_the_only_one_left_out(where):
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


def test_loss_scales_are_put_back_with_a_block():
    ends = []
    keras.utils.set_random_seed(0)
    nets = {"net": toys.net(4, 1)}
    made = toys.engine(toys.Fit(), nets, {"fit": toys.adam()}, toys.points(), plan="xla", loss_scaling=True)
    made.parts["fit"].commit.loss_scale.scale.assign(2.0**127)  # overflows until it has been halved some times
    rewind = toys.rewinding(made)
    for lengths in ([20], [1] * 20):
        rewind()
        rejected = sum(made.run(length).rejected["fit"] for length in lengths)
        assert 0 < rejected < 20
        ends.append([rejected, float(made.parts["fit"].commit.loss_scale.scale),
                     int(made.parts["fit"].commit.loss_scale.good)])
    assert ends[0] == ends[1]


def test_a_dataset_is_read_no_further_than_the_updates_go(monkeypatch):
    monkeypatch.setattr(block, "BLOCK_UPDATES", 18)  # three cycles: compiles faster than eight
    ends = []
    data = tf.data.Dataset.from_tensor_slices({"x": toys.POINTS, "index": np.arange(200, dtype="int32")})
    made, nets = toys.gan(DatasetSource(data, 8), accumulate=2, plan="xla")
    rewind = toys.rewinding(made)
    for lengths in ([7], [1, 2, 4]):
        rewind()
        for length in lengths:
            made.run(length)
        ends.append(toys.bits(made, nets))
    np.testing.assert_array_equal(ends[1], ends[0])


@pytest.fixture(scope="module")
def five_cycles():
    """The GAN's numbers after five cycles in blocks."""
    blocks, nets = toys.gan(plan="xla")
    blocks.run(5)
    return toys.bits(blocks, nets)


def test_nets_too_large_to_be_put_back_are_guarded_one_by_one(monkeypatch, five_cycles):
    monkeypatch.setattr(block, "SNAPSHOT_BYTES", 0)
    single, others = toys.gan(plan="xla")
    single.run(5)
    np.testing.assert_allclose(toys.bits(single, others), five_cycles, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["arrays", "dataset"])
def test_draws_made_ahead_are_those_made_one_by_one(kind):
    data = {"x": toys.POINTS, "index": np.arange(200, dtype="int32")}
    source = toys.points(4) if kind == "arrays" else DatasetSource(tf.data.Dataset.from_tensor_slices(data), 4)
    made, _ = toys.gan(source, accumulate=2)
    draws, schedule = made.program.steps["critic"].inputs, made.schedule
    start = schedule.shifted(schedule.start(), 27)  # 23 updates of the critic: over the end of an epoch of 50 batches
    assert (start.completed[0], start.batches[0]) == (23, 46)

    def numbers(i):
        place = schedule.later(0, tf.nest.map_structure(lambda number: tf.constant(number, tf.int64), start), i)
        return place.completed[0], place.batches

    def reading():
        return Context({"data": source.open(46)} if source.in_sequence else {}, tf.constant(0, tf.int64))

    ahead, given = draws.ahead(6, tf.constant(4), numbers, reading()), reading()
    for place in range(4):
        single = draws.of(*numbers(tf.constant(place, tf.int64)), given)
        for many, one in zip(tf.nest.flatten(ahead), tf.nest.flatten(single), strict=True):
            np.testing.assert_array_equal(many[place], one)
    assert not any(np.any(drawn[4:]) for drawn in tf.nest.flatten(ahead._replace(raw={})))  # not drawn
    if kind == "dataset":
        assert not np.any(ahead.raw["data"]["x"][4:])  # not read


def test_the_length_of_a_block_does_not_show(monkeypatch, five_cycles):
    monkeypatch.setattr(block, "BLOCK_BYTES", 1)  # one cycle
    short, others = toys.gan(plan="xla")
    short.run(5)
    np.testing.assert_allclose(toys.bits(short, others), five_cycles, rtol=1e-4, atol=1e-6)


def _all_operations(graph):
    """Of a graph and of the bodies of its loops and branches."""
    for operation in graph.get_operations():
        yield operation
        for inner in _inner(operation):
            yield from _all_operations(inner)


def test_a_cycle_unrolled_has_the_bits_of_one_update_after_the_other(monkeypatch):
    ends, reads = [], []
    for most in (12, 0):
        monkeypatch.setattr(program, "UNROLLED", most)
        made, nets = toys.gan(accumulate=2, average=0.9, loss_scaling=True)
        for cycles in (1, 4):
            made.run(cycles)
        ends.append(toys.bits(made, nets))
        reads.append(sum("_order_of_examples" in operation.node_def.attr["f"].func.name
                         for operation in _all_operations(made.plan.graph)))
    np.testing.assert_array_equal(*ends)
    assert reads[0] == made.phases[0].repeats * reads[1]


@pytest.mark.parametrize("policy, calls", [("stop", 3), ("skip", 1)])
def test_of_a_cycle_unrolled_no_update_after_a_stop_is_applied(monkeypatch, policy, calls):
    ends = []
    for most in (12, 0):
        monkeypatch.setattr(program, "UNROLLED", most)
        nets, strategy = toys.gan_nets(), toys.TinyGAN()
        critic = strategy.critic
        broken = tf.Variable(True)  # for as long, the example 77 has an infinite loss
        strategy.critic = lambda nets, batch, noise, critic=critic, broken=broken: {
            name: term + tf.where(broken & tf.reduce_any(batch["index"] == 77), np.inf, 0.0)
            for name, term in critic(nets, batch, noise).items()}
        made = toys.engine(strategy, nets, {"critic": toys.adam(), "generator": toys.adam()}, toys.points(8),
                           on_bad_update=policy)
        stops = [made.run(4).stopped for _ in range(calls)]
        assert stops == [policy == "stop"] * calls
        stuck = made.place.slot
        assert policy == "skip" or made.schedule.offset(stuck)  # in the middle of a cycle
        broken.assign(False)
        assert not made.run(1).stopped
        assert made.place.slot % made.schedule.slots_per_cycle == 0 and made.place.slot > stuck
        ends.append(toys.bits(made, nets))
    np.testing.assert_array_equal(*ends)
