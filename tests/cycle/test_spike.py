"""Spikes: objectives far above the last ones of their phase."""

import numpy as np
import pytest
import tensorflow as tf

from engine import Invalid, LossStrategy, Phase, Spike
from engine.cycle.health import SpikeWatch
from tests import toys


def limit_of(values, spike):
    watch = SpikeWatch(spike)
    for value in values:
        watch.note(tf.constant(value, tf.float32))
    return float(watch.limit()), watch


def test_the_limit_is_the_median_and_standard_deviations_of_the_window():
    """Of 1, 2, 3, 4, 100 the median is 3, the distances 2, 1, 0, 1, 97, their median 1: 3 + 10 * 1.4826 * 1."""
    limit, watch = limit_of([7.0, 1.0, 100.0, 3.0, 2.0, 4.0], Spike(window=5, standard_deviations=10.0))
    assert limit == pytest.approx(17.826)
    assert sorted(watch.values.numpy()) == [1, 2, 3, 4, 100] and int(watch.count) == 6


def test_before_the_window_is_full_nothing_is_a_spike():
    assert limit_of([1.0] * 4, Spike(window=5))[0] == np.inf
    assert np.isfinite(limit_of([1.0] * 5, Spike(window=5))[0])


def test_a_constant_objective_may_change_by_a_little():
    """The standard deviation is at least a thousandth of the median, below zero too."""
    assert limit_of([-2.0] * 5, Spike(window=5, standard_deviations=10.0))[0] == pytest.approx(-2.0 + 10 * 0.002)


def test_of_normal_values_it_is_the_standard_deviation():
    values = np.random.default_rng(0).normal(5.0, 2.0, 2000).astype(np.float32)
    assert limit_of(values, Spike(window=2000, standard_deviations=1.0))[0] == pytest.approx(7.0, abs=0.15)


@pytest.mark.parametrize("options, text", [
    ({"window": 1}, r"`window` \(1\) must be an integer of at least 2"),
    ({"window": 2.5}, r"`window` \(2.5\) must be an integer"),
    ({"standard_deviations": 0.0}, r"`standard_deviations` \(0.0\) must be above 0")])
def test_bad_options_are_refused(options, text):
    with pytest.raises(Invalid, match=text):
        Spike(**options)


class Spiking(LossStrategy):
    """Least squares whose objective spikes when example 77 is in the batch."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        hit = tf.cast(batch["index"] == 77, tf.float32)
        return {"error": tf.square(nets["net"](batch["x"])[:, 0] - 1.0) + 1e7 * hit}


@pytest.mark.parametrize("plan", ["graph", "xla"])
def test_a_spike_is_named_is_not_applied_and_does_not_enter_the_window(plan):
    nets = {"net": toys.net(1)}
    made = toys.engine(Spiking(), nets, {"fit": toys.adam()}, toys.points(8, seed=5), plan=plan, on_bad_update="skip",
                       spike=Spike(window=4, standard_deviations=1e3))
    hits = [k for k in range(50) if 77 in made.source.batch(tf.constant(k, tf.int64), ())["index"].numpy()]
    assert hits[-1] >= 4
    report = made.run(50)
    late = [hit for hit in hits if hit >= 4]
    assert report.rejected == {"fit": len(late)}
    assert (report.fault.cycle, report.fault.update, set(report.fault.terms)) == (late[-1], late[-1], {"objective"})
    assert ", a spike" in str(report.fault) and report.fault.terms["objective"] > 1e6
    watch = made.parts["fit"].commit.spikes
    assert int(watch.count) == 50 - len(late) and watch.values.numpy().max() < 1e6


class Bump(LossStrategy):
    """1, but 1.05 at update 5."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        return {"error": 1.0 + 0.05 * tf.cast(noise.update == 5, tf.float32) + 0.0 * nets["net"](batch["x"])[:, 0]}


@pytest.mark.parametrize("plan", ["eager", "graph", "xla"])
def test_a_spike_is_judged_by_those_before_it(plan):
    """By itself in the window of two, it would move the median to 1.05 and the limit to 2.5."""
    made = toys.engine(Bump(), {"net": toys.net(1)}, {"fit": toys.adam()}, toys.points(8), plan=plan,
                       on_bad_update="skip", spike=Spike(window=2, standard_deviations=20.0))
    report = made.run(10)
    assert report.rejected == {"fit": 1} and report.fault.update == 5
