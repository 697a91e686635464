"""Design, section 6: what always holds of the cycle (numbers 1, 2, 4, 5, 6, 7)."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import Update
from engine.cycle.plan import Plan, Retraced
from tests import pairs, toys


def test_ten_wgan_cycles_are_50_critic_and_10_generator_updates_on_50_distinct_batches():
    source = toys.points(batch_size=4)  # 50 batches per epoch: ten cycles read each example once
    made, _ = toys.gan(source, counts=True)
    report = made.run(10)
    assert toys.done(made) == {"critic": 50, "generator": 10, "": 50}
    assert report.totals["critic"]["wasserstein"][1] == 50 * 4
    assert report.totals["generator"]["wasserstein"][1] == 10 * 4
    np.testing.assert_array_equal(made.state["seen"].numpy(), np.ones(200))
    critic, generator = made.parts["critic"].commit.update.optimizer, made.parts["generator"].commit.update.optimizer
    assert (int(critic.iterations), int(generator.iterations)) == (50, 10)


@pytest.mark.parametrize("plan", ["graph", "xla", "eager"])
def test_cycles_per_call_do_not_change_the_bits(plan):
    cycles = 4 if plan == "eager" else 12
    made, nets = toys.gan(plan=plan)
    rewind = toys.rewinding(made)
    whole, end = made.run(cycles), toys.bits(made, nets)
    rewind()
    parts = [made.run(count) for count in (1, cycles - 3, 2)]
    np.testing.assert_array_equal(toys.bits(made, nets), end)
    for phase, terms in whole.totals.items():
        for term, (total, count) in terms.items():
            assert sum(part.totals[phase][term][1] for part in parts) == count
            assert sum(part.totals[phase][term][0] for part in parts) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("plan", ["graph", "xla"])
def test_the_same_run_twice_has_the_same_bits(plan):
    runs = []
    for _ in range(2):
        made, nets = toys.gan(plan=plan)
        made.run(30)
        runs.append(toys.bits(made, nets))
    np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize("plan", ["graph", "xla"])
def test_plans_agree_within_rounding_on_the_same_draws(plan):
    reference, nets = toys.gan(plan="eager", average=0.9)
    reference.run(5)
    other, others = toys.gan(plan=plan, average=0.9)
    other.run(5)
    np.testing.assert_allclose(toys.bits(other, others), toys.bits(reference, nets), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("plan", ["graph", "xla", "eager"])
def test_two_workers_follow_the_trajectory_of_one(plan):
    one, nets = toys.gan(toys.points(24), average=0.9)
    first = one.run(10)
    (two, others, second), (three, last, third) = pairs.trained(
        lambda workers: toys.gan(toys.points(24), average=0.9, workers=workers, plan=plan), 10)
    np.testing.assert_allclose(toys.bits(two, others), toys.bits(one, nets), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(toys.bits(two, others), toys.bits(three, last))
    assert second.totals == third.totals
    for phase, terms in first.totals.items():
        for term, (total, count) in terms.items():
            assert second.totals[phase][term] == (pytest.approx(total, rel=1e-4, abs=1e-4), count)


@pytest.mark.parametrize("plan", ["graph", "xla"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_fixed_shards_have_the_same_bits_on_one_worker_and_on_two(plan, accumulate):
    def make(workers):
        return toys.gan(toys.points(24), True, accumulate, average=0.9, workers=workers, plan=plan, reproducible=4)

    one, nets = make(None)
    first = one.run(10)
    for two, others, second in pairs.trained(make, 10):
        np.testing.assert_array_equal(toys.bits(two, others), toys.bits(one, nets))
        assert second.totals == first.totals


def test_clipping_acts_on_the_gradient_summed_over_workers():
    """A clipped SGD step has exactly the length rate * clip_norm, on any number of workers."""
    def make(workers=None):
        nets = {"net": toys.net(1)}
        made = toys.engine(toys.Fit(watch=["absolute_error"]), nets,
                           {"fit": Update(keras.optimizers.SGD(1.0), clip_norm=0.01)}, toys.points(8), workers=workers)
        nets["before"] = [v.numpy() for v in nets["net"].variables]
        return made, nets

    def moved(nets):
        return np.sqrt(sum(np.sum((v.numpy() - old) ** 2)
                           for v, old in zip(nets["net"].variables, nets["before"], strict=True)))

    made, alone = make()
    made.run(1)
    for nets in (alone, *(nets for _, nets, _ in pairs.trained(make, 1))):
        assert moved(nets) == pytest.approx(0.01, rel=1e-4)


@pytest.mark.parametrize("plan", ["graph", "xla", "eager"])
def test_accumulating_a_batches_is_one_batch_a_times_as_large(plan):
    cycles = 2 if plan == "eager" else 6
    whole, nets = toys.gan(toys.points(24), plan=plan)
    first = whole.run(cycles)
    parts, others = toys.gan(toys.points(12), accumulate=2, plan=plan)
    second = parts.run(cycles)
    np.testing.assert_allclose(toys.bits(parts, others), toys.bits(whole, nets), rtol=1e-4, atol=1e-5)
    assert toys.done(parts)[""] == 2 * toys.done(whole)[""]
    assert first.totals["critic"]["penalty"] == pytest.approx(second.totals["critic"]["penalty"], rel=1e-4)


def test_a_run_is_traced_once():
    made, _ = toys.gan()
    for cycles in (1, 7, 2):
        made.run(cycles)
    assert made.plan.traces == 1


def test_a_second_trace_raises_with_its_cause():
    looped = Plan("graph").loop(lambda number: number + 1)
    looped(tf.constant(1, tf.int64))
    with pytest.raises(Retraced, match=r"its arguments were .*int64.* and are now .*int32"):
        looped(tf.constant(1, tf.int32))
