"""The trainings that tests.faults.workers disturbs, and the moments at which it does.

A moment is one of: "start", any time before the first checkpoint; "training", any time after a checkpoint drawn at
random; and places at which a worker is held until the signal is there (held.py): "evaluation", "save" (the chief,
before a file operation drawn at random), "state" (before, in or after the broadcast of the state at a resume).
"""

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np

from engine.run import checkpoint
from tests.faults import files, launched, watched

CYCLES = 480  # a second or two
SILENCE, CONNECTING = 4, 30  # seconds
GRACE, PATIENCE = 3, 20  # of the launcher, seconds
LIMIT = 150  # seconds for a whole case, restart and all; what takes longer hangs
ENVIRONMENT = {"PHASELOOP_SILENCE_SECONDS": str(SILENCE), "PHASELOOP_CONNECT_SECONDS": str(CONNECTING),
               "TF_CPP_MIN_LOG_LEVEL": "3"}
SCRIPTS = {"vae": ["train_vae.py", "--dataset", "npz", "--net-option", "hidden=16", "--average", "0.99"],
           "classifier": ["train_classifier.py", "--dataset", "npz", "--net", "mlp", "--shift", "1", "--flip"],
           "regression": ["train_regression.py", "--dataset", "polynomial", "--examples", "256"]}


def data(folder):
    """A file of pictures of 8 x 8, four classes."""
    draw = np.random.default_rng(0)
    images, labels = draw.integers(0, 256, (320, 8, 8, 1)).astype(np.uint8), draw.integers(0, 4, 320)
    np.savez(folder / "data.npz", x_train=images[:256], y_train=labels[:256], x_test=images[256:], y_test=labels[256:])
    return folder / "data.npz"


class Runs:
    """One training, by a script, on so many workers.

    Attributes:
      wanted: The end of the run that nothing disturbs.
      starting: Seconds to its first checkpoint.
    """

    def __init__(self, name, workers, shards, place):
        self.place, self._workers, self._name = Path(place), workers, name
        self.place.mkdir()
        data_dir = ["--data-dir", data(self.place)] if "npz" in SCRIPTS[name] else []
        self._words = [*SCRIPTS[name], *data_dir, "--plan", "graph", "--batch-size", 16, "--cycles", CYCLES,
                       "--log-every", 40, "--evaluate-every", 12, "--checkpoint-every", 0.2,
                       *(["--reproducible", shards] if shards else [])]
        self._count = 0
        launch = self.launch(self.place / "whole")
        self.until_cycle(launch, 0)
        self.starting = time.monotonic() - launch.began
        assert launch.wait(LIMIT) == 0 and not launch.end(), launch.log.read_text()
        self.wanted = files.end_of(self.place / "whole")
        self._half = None

    def new(self):
        """A folder for another run."""
        self._count += 1
        return self.place / f"run{self._count}"

    def half(self):
        """A folder for another run, that holds the first part of one."""
        if self._half is None:
            self._half = self.new()
            launch = self.launch(self._half)
            self.until_cycle(launch, CYCLES // 4)
            os.kill(launch.pid, signal.SIGTERM)
            assert launch.wait(LIMIT) == 128 + signal.SIGTERM, launch.log.read_text()
        return Path(shutil.copytree(self._half, self.new()))

    def launch(self, folder, more=(), forked=True, options=(), words=()):
        """Start it."""
        options = ["--workers", self._workers, "--grace", GRACE, "--patience", PATIENCE, *options]
        words = launched.words_of(options, *self._words, *words, "--run-dir", folder)
        return launched.Launched(words, f"{folder}.log", {**ENVIRONMENT, **dict(more)}, forked)

    @staticmethod
    def newest(launch):
        """The cycle of the newest checkpoint; -1 for none."""
        return max(map(checkpoint.cycle_of, checkpoint.listed(launch.log.with_suffix("") / "checkpoints")), default=-1)

    def until_cycle(self, launch, cycle):
        """Until there is a checkpoint of a cycle from ``cycle`` on, or the run ends."""
        while launch.poll() is None and self.newest(launch) < cycle:
            time.sleep(0.01)


class Moment:
    """When a run is disturbed.

    Args:
      name: One of the places above.
      runs: Whose run it is.
      draw: Source of chance.
    """

    def __init__(self, name, runs, workers, draw):
        self.name, self._runs, self._draw = name, runs, draw
        self.holder = {"evaluation": draw.randrange(workers), "state": 0}.get(name, 0)
        self._held = ""
        if name == "evaluation":
            self._held = f"evaluation {self.holder}"
        if name == "save":
            self._held = f"save 0 {watched_operation(draw)}"
        if name == "state":
            where = draw.choice(("before", "half", "after"))
            self.holder = 0 if where == "half" else draw.randrange(workers)
            self._held = f"state {self.holder} {where}"
        self.folder = runs.half() if name == "state" else runs.new()
        self._file = self.folder.with_suffix(".held")

    @property
    def more(self):
        """For the environment."""
        return {"PHASELOOP_HELD": self._held, "PHASELOOP_HELD_FILE": str(self._file)} if self._held else {}

    def come(self, launch):
        """Wait for it. Returns whether it came before the end of the run."""
        if self._held:
            while launch.poll() is None and not self._file.exists():
                time.sleep(0.01)
        elif self.name == "start":
            time.sleep(self._draw.uniform(0, 1) * self._runs.starting)
        else:
            self._runs.until_cycle(launch, self._draw.randint(0, CYCLES * 3 // 4))
            time.sleep(self._draw.uniform(0, 0.3))
        return launch.poll() is None and len(launch.workers()) > 0

    def pass_(self):
        """Who is held goes on."""
        self._file.unlink(missing_ok=True)

    def __str__(self):
        return self._held or self.name


def watched_operation(draw, _board=[]):  # noqa: B006
    """Of a save: its number, and a file operation in it."""
    if not _board:
        _board.append(_operations_of_a_save())
    return " ".join(map(str, watched.any_operation(_board[0], draw)))


def _operations_of_a_save():
    import tempfile
    board, save = watched.Board(), checkpoint.save
    watched.watch_saves(board)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for cycle in range(5):
                checkpoint.save(Path(folder), cycle, {"x": np.zeros(3)}, {})
    finally:
        checkpoint.save = save
    return board
