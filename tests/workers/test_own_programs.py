"""A program of one's own under the launcher: its exit code says whether another start would help."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine import Interrupted, Invalid, WorkerLost
from engine.run.exit_codes import code_of
from engine.workers.links import OutOfStep

ROOT = Path(__file__).parent.parent.parent
PROGRAM = """
import atexit, sys
import keras
from engine import ArraySource, Interrupted, LossStrategy, Phase, Trainer, prepare

class Mean(LossStrategy):
    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]
    def loss(self, nets, batch, noise):
        return {"square": keras.ops.mean(nets["net"](batch["x"]) ** 2)}

prepare(0)
atexit.register(lambda: print("farewell", file=sys.stderr))
data = ArraySource({"x": keras.ops.convert_to_numpy(keras.ops.ones([8, 2]))}, 4)
"""


@pytest.mark.parametrize(("end", "code", "told"), [
    ("Trainer(Mean(), {'net': keras.Sequential([keras.layers.Dense(1)])}, keras.optimizers.SGD(), data, plan='graph')",
     2, "must be whole, unless no example"),
    ("raise Interrupted(15)", 143, "Interrupted"), ("1 / 0", 1, "ZeroDivision")])
def test_what_ends_it_is_known_to_the_launcher(tmp_path, end, code, told):
    (tmp_path / "own.py").write_text(PROGRAM + end)
    command = [str(ROOT / "scripts" / "launch.py"), "--workers", "2", "--restarts", "1", "--", sys.executable, "own.py"]
    ended = subprocess.run([sys.executable, *command], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
                           capture_output=True, text=True)
    assert ended.returncode == code, ended.stderr
    assert told in ended.stderr and "farewell" in ended.stderr
    assert ("started again" in ended.stderr) == (code == 1)


@pytest.mark.parametrize(("task", "code", "told"), [
    ('{"type": "worker"}', 2, "must be a cluster"), ('{"type": "worker", "index": 1}', 75, "worker 0")])
def test_before_the_workers_have_met_as_well(tmp_path, task, code, told):
    (tmp_path / "own.py").write_text("from engine import prepare\nprepare(0)")
    config = f'{{"cluster": {{"worker": ["127.0.0.1:1", "127.0.0.1:2"]}}, "task": {task}}}'
    environment = {"PYTHONPATH": str(ROOT), "TF_CONFIG": config, "PHASELOOP_CONNECT_SECONDS": "1"}
    ended = subprocess.run([sys.executable, "own.py"], cwd=tmp_path, env={**os.environ, **environment},
                           capture_output=True, text=True)
    assert ended.returncode == code and told in ended.stderr, ended.stderr


def test_the_codes():
    errors = [Invalid("x"), OutOfStep("x"), WorkerLost("x"), Interrupted(15), KeyError("x"), KeyboardInterrupt()]
    assert [code_of(error) for error in errors] == [2, 2, 75, 143, 1, 1]
