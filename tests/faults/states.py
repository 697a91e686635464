"""How a signal comes from inside a state of a run.

Each state is ``state(trainer, board, send, draw)``: it sets a hook that calls ``send()`` there, once.
"""

import os
import threading
import time

import tensorflow as tf

from engine import Event, Every
from engine.reporting.report_file import ReportFile
from tests.faults import watched, workloads

INTERVAL = 5  # cycles between checkpoints


def trace(trainer, board, send, draw):
    """While a loss's gradient is traced."""
    gradient, calls = tf.GradientTape.gradient, []

    def traced(*args, **options):
        calls.append(1)
        if len(calls) == 1:
            send()
        return gradient(*args, **options)

    tf.GradientTape.gradient = traced


def compiling(trainer, board, send, draw):
    """In the first call, when all is traced."""
    gradient, newest, wait = tf.GradientTape.gradient, [], draw.uniform(0, 3)

    def traced(*args, **options):
        newest.append(time.monotonic())
        return gradient(*args, **options)

    def press():
        while not newest or time.monotonic() < newest[-1] + 0.5 + wait:
            time.sleep(0.01)
        board.late = board.began >= 0
        send()

    tf.GradientTape.gradient = traced
    threading.Thread(target=press, daemon=True).start()


def training(trainer, board, send, draw):
    """Anywhere in the first three quarters, by cycles: a fast machine would be done before a time."""
    cycle, within = draw.randint(1, 3 * workloads.CYCLES // 4), draw.uniform(0, 0.005)

    def press():
        while board.now < cycle:
            time.sleep(0.001)
        time.sleep(within)
        send()

    threading.Thread(target=press, daemon=True).start()


def evaluation(trainer, board, send, draw):
    """In an evaluation that takes about a minute."""
    metrics, evaluate = trainer.strategy.metrics, trainer.evaluate

    def slowly(nets, batch, noise):
        product = tf.while_loop(lambda n, _: n < 100, lambda n, x: (n + 1, tf.matmul(x, x)),
                                [0, tf.eye(600) * batch_size(batch)])[1]
        with tf.control_dependencies([product]):
            return {name: tf.identity(value) for name, value in metrics(nets, batch, noise).items()}

    def told(source):
        threading.Timer(draw.uniform(0, 2), send).start()
        return evaluate(source)

    trainer.strategy.metrics, trainer.evaluate = slowly, told


def batch_size(batch):
    return tf.cast(tf.shape(next(iter(batch.values())))[0], tf.float32)


def save(trainer, board, send, draw):
    """Before one of a save's file operations."""
    watched.watch_saves(board, draw.randint(1, 6), *draw.choice(
        [("mkdir", 1), ("write", 5), ("write", 60), ("fsync", 1), ("fsync", 2), ("rename", 1), ("fsync", 4)]), send)


def slow_save(trainer, board, send, draw):
    """The same, on a disk that takes 0.3 seconds for each fsync."""
    slow(0.3)
    save(trainer, board, send, draw)


def last_save(trainer, board, send, draw):
    """On the same disk, in the save after the last cycle: training is over, and its state is not on the disk yet."""
    slow(0.3)
    watched.watch_saves(board, workloads.CYCLES // INTERVAL, "fsync", draw.randint(1, 4), send)


def slow(seconds):
    fsync = os.fsync
    os.fsync = lambda descriptor: (time.sleep(seconds), fsync(descriptor))


def last_event(trainer, board, send, draw):
    """In the last event of the last cycle."""
    trainer.events = [*trainer.events, Event(Every(cycles=workloads.CYCLES), lambda *_: send(), at_end=False)]


def report(trainer, board, send, draw):
    """When training is over: the report is being written."""
    close = ReportFile.close

    def told(writer):
        send()
        close(writer)

    ReportFile.close = told


# State: how, in which plans, how often of fifty. (Those of scripts stand in scripted.py.)
STATES = {"trace": (trace, ("graph", "xla"), 6), "compile": (compiling, ("xla",), 6),
          "train": (training, ("graph",), 8), "evaluate": (evaluation, ("graph",), 7), "save": (save, ("graph",), 6),
          "slow save": (slow_save, ("graph",), 3), "last save": (last_save, ("graph",), 2),
          "last event": (last_event, ("graph",), 2), "report": (report, ("graph",), 1)}
