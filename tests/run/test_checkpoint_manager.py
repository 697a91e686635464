"""One save at a time, whoever asks for it."""

import threading
import time

import tensorflow as tf

from engine.run import checkpoint
from engine.run.checkpoint_manager import CheckpointManager
from engine.run.folder import RunFolder


def test_saves_of_two_threads_follow_each_other(tmp_path, monkeypatch):
    """The main thread may be in a save while another serves a signal that is overdue."""
    save, busy, most = checkpoint.save, [], []

    def watched(*args):
        busy.append(args)
        most.append(len(busy))
        time.sleep(0.01)
        try:
            return save(*args)
        finally:
            busy.pop()

    monkeypatch.setattr(checkpoint, "save", watched)
    checkpoints = CheckpointManager(RunFolder(tmp_path / "run", {}), {"a": tf.Variable([1.0, 2.0])}, 3, print)
    checkpoints.open()
    faults = []

    def ask():
        try:
            for _ in range(5):
                checkpoints.save(7, {}, set())
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    checkpoints.close()
    assert faults == []
    assert most == [1] * 20
    assert [path.name for path in checkpoint.listed(tmp_path / "run" / "checkpoints")] == ["7.19"]
