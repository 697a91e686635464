"""on_bad_update="rollback": back to the last checkpoint, on after the batches read, with other draws, three times."""

import numpy as np
import pytest
import tensorflow as tf

from engine import BadUpdate, Event, Every, LossStrategy, Phase, Trainer, prepare
from engine.run import checkpoint
from tests import toys


class Poisoned(LossStrategy):
    """Bad for every example from ``first`` on; notes the examples and the draws of each update."""

    def __init__(self, bad):
        self.bad, self.draws = tf.constant(bad, tf.int32), []

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        draw = noise.normal("z", [])
        with tf.control_dependencies([tf.numpy_function(self.draws.append, [draw[0]], [])]):
            draw = tf.identity(draw)
        hit = tf.reduce_any(batch["index"][:, None] == self.bad)
        error = tf.square(nets["net"](batch["x"])[:, 0] - 1.0) + 0.01 * draw
        return {"error": error + tf.where(hit, np.nan, 0.0)}


def batch_of(number):
    return toys.points(8).batch(tf.constant(number, tf.int64), ())["index"].numpy()


def made(folder, bad, say=lambda line: None, events=()):
    prepare(0)
    save = Event(Every(cycles=4), lambda trainer, means: trainer.save(), at_end=False)
    strategy = Poisoned([batch_of(number)[0] for number in bad] or [-1])
    return Trainer(strategy, {"net": toys.net(1)}, toys.adam(), toys.points(8), run_dir=folder, record=False, say=say,
                   events=[save, *events], on_bad_update="rollback", cycles_per_call=3, plan="graph")


def test_back_to_the_checkpoint_on_after_the_batches_and_other_draws(tmp_path):
    said = []
    trainer = made(tmp_path, [6], said.append)
    trainer.train(cycles=12)
    line, = said
    assert line.startswith("rolled back to cycle 4, and on from batch 7 with other draws (rollback 1 of at most 3), "
                           "because of cycle 6, phase fit, update 6: fit/error is nan")
    assert (trainer.counters.updates["fit"], trainer.counters.batches, trainer.counters.cycles) == (12, 15, 12)
    draws = trainer.strategy.draws  # of updates 0 to 6, then 4 to 11
    assert len(draws) == len(np.unique(draws)) == 15
    assert trainer.summary()["rollbacks"] == 1


def test_a_rollback_before_the_first_checkpoint_goes_to_the_start(tmp_path):
    trainer = made(tmp_path, [0])
    trainer.train(cycles=6)
    assert (trainer.counters.updates["fit"], trainer.counters.batches, trainer.counters.cycles) == (6, 7, 6)


def test_a_run_that_was_rolled_back_continues_to_the_same_bits(tmp_path):
    whole = made(tmp_path / "whole", [6, 9])
    whole.train(cycles=12)
    assert whole.engine.rollbacks == 2
    for cycles in (8, 12):
        part = made(tmp_path / "parts", [6, 9])
        part.train(cycles=cycles)
        part.save()
    assert (part.engine.rollbacks, part.engine.place) == (2, whole.engine.place)
    np.testing.assert_array_equal(toys.bits(part.engine, part.nets), toys.bits(whole.engine, whole.nets))


def test_the_fourth_bad_update_ends_the_training(tmp_path):
    said = []
    trainer = made(tmp_path, range(25), said.append)  # every batch of an epoch
    with pytest.raises(BadUpdate, match="at cycle 0, phase fit, update 0: fit/error is nan"):
        trainer.train(cycles=12)
    assert len(said) == 3 and "rollback 3 of at most 3" in said[-1]
    again = made(tmp_path, range(25), said.append)  # a new process has no new three
    with pytest.raises(BadUpdate):
        again.train(cycles=12)
    assert len(said) == 3


def test_events_count_from_the_checkpoint_again(tmp_path):
    rows = []
    log = Event(Every(cycles=5), lambda trainer, means: rows.append((trainer.counters.cycles, means["fit/error"])))
    trainer = made(tmp_path, [6], events=[log])
    trainer.train(cycles=10)
    assert [cycle for cycle, _ in rows] == [5, 5, 10]  # of the first course, and again after the rollback to 4
    assert np.isfinite([mean for _, mean in rows]).all() and rows[0] != rows[1]
    assert checkpoint.newest(tmp_path / "checkpoints", pytest.fail).name == "8"
