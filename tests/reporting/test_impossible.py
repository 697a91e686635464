"""A mean outside of what its strategy says can be is told once, on the terminal and in summary.json."""

import json

import keras
import numpy as np

from engine import ArraySource, Every, Recording, Trainer
from engine.reporting.rows import CSV
from losses.strategies import Supervised
from tests import toys


class Below(Supervised):
    def _terms(self, label, logits):
        return {name: value - 5.0 * (name == "cross_entropy") for name, value in super()._terms(label, logits).items()}


def test_a_cross_entropy_below_zero_is_told_once(tmp_path):
    said = []
    data = ArraySource({"image": np.zeros((16, 4), np.float32), "label": np.zeros(16, np.int32)}, 8)
    trainer = Trainer(Below(), {"classifier": toys.net(3)}, keras.optimizers.SGD(0.01), data, plan="graph",
                      run_dir=tmp_path / "run", held_out=data, record=Recording(Every(cycles=1)), writers=[CSV()],
                      say=said.append)
    trainer.train(cycles=4)
    told = [line for line in said if "cross_entropy" in line and "warning" in line]
    assert len(told) == 1 and told[0].startswith("warning: classifier/cross_entropy is -")
    assert told[0].endswith("at cycle 1 and can only be from 0 to inf: look at the data's labels and scale")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["impossible"] == [told[0].removeprefix("warning: ")]
