"""Signals of several workers: all end at the same cycle, whoever gets one, whenever it comes."""

import signal

import keras
import numpy as np
import pytest

from engine import ArraySource, Interrupted, Trainer
from engine.workers.workers import Workers
from losses.strategies import Regression


class Told(Workers):
    """What a worker learns of the others: of the calls for a signal, ``answer(number of the call, own signal)``."""

    def __init__(self, answer):
        self.answer, self.given = answer, []

    def most(self, number, name):
        assert name == "signal"
        self.given.append(number)
        return self.answer(len(self.given), number)


@pytest.fixture
def trainer(tmp_path):
    net = keras.Sequential([keras.layers.Dense(1)])
    data = ArraySource({"x": np.ones((8, 2), np.float32), "y": np.ones((8, 1), np.float32)}, 4)
    return Trainer(Regression(), {"regressor": net}, keras.optimizers.SGD(0.1), data, run_dir=tmp_path / "run",
                   record=False, plan="graph", cycles_per_call=1)


def asked(trainer, answer):
    trainer._session._workers = told = Told(answer)
    return told


def test_a_signal_that_comes_while_all_are_asked_is_served_at_the_next_call(trainer):
    def answer(call, number):
        if call == 2:
            signal.raise_signal(signal.SIGTERM)  # this one has said that it has none
        return number

    told = asked(trainer, answer)
    with pytest.raises(Interrupted, match="SIGTERM: a checkpoint was saved"):
        trainer.train(cycles=6)
    assert told.given == [0, 0, signal.SIGTERM]
    assert trainer.counters.cycles == 3


def test_a_signal_of_ones_own_after_that_of_another_is_no_second_one(trainer):
    """A cluster tells them one after the other: who has learnt it from a partner is in the last save by then."""
    told = asked(trainer, lambda call, number: signal.SIGTERM if call == 3 else number)
    save = trainer._checkpoints.save

    def saved(*given):
        signal.raise_signal(signal.SIGTERM)
        return save(*given)

    trainer._checkpoints.save = saved
    with pytest.raises(Interrupted, match="SIGTERM: a checkpoint was saved"):
        trainer.train(cycles=6)
    assert (told.given, trainer.counters.cycles) == ([0, 0, 0], 3)


def test_a_signal_after_the_last_cycle_is_known_to_all_before_one_saves(trainer):
    told, wait = asked(trainer, lambda call, number: number), trainer._checkpoints.wait

    def waited():
        if signal.SIGTERM not in told.given and trainer.counters.cycles == 3:
            signal.raise_signal(signal.SIGTERM)
        wait()

    trainer._checkpoints.wait = waited
    with pytest.raises(Interrupted):
        trainer.train(cycles=3)
    assert told.given == [0, 0, 0, signal.SIGTERM]


def test_a_second_signal_of_ones_own_leaves_at_once(trainer):
    def answer(call, number):
        for _ in range(2 * (call == 2)):
            signal.raise_signal(signal.SIGINT)
        return number

    asked(trainer, answer)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(cycles=6)
