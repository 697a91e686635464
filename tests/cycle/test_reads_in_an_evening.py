"""How deep a reader of the loops must go, and how long a file may be."""

import traceback
from pathlib import Path

import keras
import pytest
import tensorflow as tf

import engine
from engine import LossStrategy, Phase
from tests import toys

ROOT = Path(engine.__file__).parent


class Looking(LossStrategy):
    """Notes through which functions of the engine its loss was called, once it trains."""

    def __init__(self, names):
        self._names, self.frames = names, []

    def phases(self):
        return [Phase(name, self.loss, updates=[name]) for name in self._names]

    def loss(self, nets, batch, noise):
        if tf.executing_eagerly():
            self.frames = [frame.name for frame in traceback.extract_stack() if str(ROOT) in frame.filename]
        return {"square": tf.add_n([tf.square(net(batch["x"])[:, 0]) for net in nets.values()])}


@pytest.mark.parametrize("names", [["one"], ["one", "two"]])
def test_seven_frames_to_the_tape(names):
    strategy, nets = Looking(names), {name: keras.Sequential([keras.layers.Dense(1)]) for name in names}
    toys.engine(strategy, nets, {name: toys.adam() for name in names}, toys.points(2), plan="eager").run(2)
    to_tape = strategy.frames[:strategy.frames.index("gradients") + 1]
    assert to_tape == ["run", "loop", "next", "turn", "_advance", "measured", "gradients"]


@pytest.mark.parametrize("room, most", [("cycle", 150), ("run", 220)])
def test_files_are_short(room, most):
    lines = {path.name: len(path.read_text().splitlines()) for path in (ROOT / room).glob("*.py")}
    assert len(lines) > 20
    assert {name: count for name, count in lines.items() if count > most} == {}
