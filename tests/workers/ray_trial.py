"""Two Ray workers train the program of docs/workers.md; one is killed if that is asked for.

Prints a line of JSON: versions, the last checkpoint, the digest of its state, how often worker 1 was started.

  python -m tests.workers.ray_trial FOLDER [kill]
"""

import hashlib
import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import ray
import tensorflow as tf
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.tensorflow import TensorflowTrainer

PAGE = Path(__file__).parent.parent.parent / "docs" / "workers.md"
CYCLES = 400


def program():
    """What the page defines: ``train``, and what it does besides is left out."""
    return next(each for each in re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
                if "def train(" in each)


def work(options):
    """One worker: the page's ``train``, which says who it is, and saves often."""
    source, folder = options["source"], Path(options["run_dir"])
    place = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    with (folder.parent / f"worker{place}").open("a") as file:
        file.write(f"{os.getpid()}\n")
    space = {"__name__": "page"}
    exec(source, space)
    space["train"](options)


def killer(folder):
    """Ends worker 1 when a checkpoint is there."""
    checkpoints = folder / "run" / "checkpoints"
    while len([each for each in checkpoints.glob("[0-9]*")] if checkpoints.is_dir() else []) < 2:
        time.sleep(0.02)
    os.kill(int((folder / "worker1").read_text().split()[-1]), signal.SIGKILL)
    print("killed worker 1 after", sorted(each.name for each in checkpoints.glob("[0-9]*")), flush=True)


def main(folder, kills):
    folder.mkdir(parents=True, exist_ok=True)
    ray.init(num_cpus=2, include_dashboard=False)
    if kills:
        threading.Thread(target=killer, args=[folder], daemon=True).start()
    TensorflowTrainer(
        work, train_loop_config={"source": program(), "run_dir": str(folder / "run"), "cycles": CYCLES},
        scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 1}),
        run_config=RunConfig(storage_path=str(folder / "ray"), failure_config=FailureConfig(max_failures=3))).fit()
    newest = max((folder / "run" / "checkpoints").glob("[0-9]*"), key=lambda each: int(each.name))
    found = hashlib.sha256()
    with np.load(newest / "state.npz") as state:
        for name in sorted(state.files):
            found.update(name.encode() + state[name].tobytes())
    print(json.dumps({"ray": ray.__version__, "tensorflow": tf.__version__, "checkpoint": int(newest.name),
                      "digest": found.hexdigest(), "starts": len((folder / "worker1").read_text().split())}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), "kill" in sys.argv[2:])
