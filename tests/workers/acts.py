"""What processes do together for the tests beside it: each act is run by all workers, and gives JSON values.

  python -m tests.workers.acts FOLDER RANK
"""

import hashlib
import json
import sys
import traceback
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from engine import ArraySource, BadUpdate, DatasetSource, Event, Every, Invalid, Spike, Trainer, prepare
from engine.data.image_folder import image_folder
from engine.run import together
from engine.workers.workers import workers
from tests import bucketed, toys
from tests.workers import cases

PICTURES = "pictures"  # a folder of pictures in FOLDER: 15 cats and 14 dogs
BATCH = 12


class Seen(toys.Fit):
    """Metrics with draws, and pictures."""

    def __init__(self):
        super().__init__(separable=True)

    def metrics(self, nets, batch, noise):
        x = batch["x"] + 0.1 * noise.normal("blur", [6])
        return {**super().metrics(nets, {"x": x}, noise), "size": tf.reduce_sum(x * x, axis=1)}

    def pictures(self, nets, batch, noise):
        return {"point": tf.sigmoid(tf.reshape(batch["x"] + noise.normal("z", [6]), [-1, 2, 3, 1]))}


class Steps(bucketed.Steps):
    """With pictures."""

    def pictures(self, nets, batch, noise):
        return {"steps": tf.sigmoid(tf.reshape(batch["x"], [-1, 10, 2, 1]))}


def as_numbers(batch, noise):
    """The six numbers of a picture of 1 x 2 pixels."""
    return {"x": tf.reshape(tf.cast(batch["image"], tf.float32), [-1, 6]) / 255.0}


def files(folder, batch_size, **options):
    found = image_folder(folder / PICTURES, (1, 2), in_memory=False)
    return found.source("train", batch_size, seed=3, transform=as_numbers, **options)


def dataset(batch_size):
    return DatasetSource(tf.data.Dataset.from_tensor_slices({"x": toys.POINTS}), batch_size)


def ragged(batch_size):
    """The rows of ``bucketed`` by tf.data."""
    form = {"x": tf.TensorSpec([None, 2], tf.float32), "index": tf.TensorSpec([], tf.int32)}
    made = tf.data.Dataset.from_generator(lambda: ({"x": row, "index": number} for row, number in zip(
        bucketed.ROWS, bucketed.INDEX, strict=True)), output_signature=form)
    return DatasetSource(made, batch_size, buckets=bucketed.BUCKETS)


def trainer(strategy=None, source=None, net=None, **options):
    """By SGD, from seed 0."""
    prepare(0, options.get("precision", "float32"))
    return Trainer(strategy or Seen(), {"net": net or toys.net(4, 1)}, keras.optimizers.SGD(0.05),
                   source or toys.points(BATCH), **{"record": False, "plan": "graph", "cycles_per_call": 3,
                                                    "say": lambda line: None, **options})


# How a source is evaluated and trained on: of a folder and a batch size, and by which strategy and net.
SOURCES = {"array": (lambda folder, size: toys.points(size), Seen, lambda: toys.net(4, 1)),
           "files": (files, Seen, lambda: toys.net(4, 1)),
           "dataset": (lambda folder, size: dataset(size), Seen, lambda: toys.net(4, 1)),
           "bucketed": (lambda folder, size: bucketed.rows(size), Steps, bucketed.net),
           "ragged": (lambda folder, size: ragged(size), Steps, bucketed.net)}


def digest(arrays):
    return {name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16] + str(array.shape)
            for name, array in arrays.items()}


def evaluation(name):
    """Numbers of an untrained net: metrics, those of each example, pictures; the batches are of odd sizes."""
    def act(folder):
        prepare(0)
        make, strategy, net = SOURCES[name]
        made, held_out = trainer(strategy(), make(folder, 6), net()), make(folder, 5)
        return [made.evaluate(held_out), digest(made.examples(made.strategy.metrics, held_out)),
                digest(made.pictures(7, held_out)), made.evaluate(held_out)]

    return act


def training(name):
    """Over the edge of an epoch."""
    def act(folder):
        prepare(0)
        make, strategy, net = SOURCES[name]
        made = trainer(strategy(), make(folder, 6), net())
        made.train(cycles=made.cycles_per_epoch + 3)
        return state(made)

    return act


def state(made):
    """All numbers, and where it stands."""
    return {"values": toys.bits(made.engine, made.nets).tolist(), "hash": cases.state_hash(made),
            "place": repr(made.engine.place), "rejected": made.summary()["rejected"]}


class Hit(toys.Fit):
    """``term(error, hit)`` is what is minimised; ``hit`` is 1 for an example that only one worker has."""

    def __init__(self, hit, term):
        super().__init__(separable=True)
        self.hit, self.term = hit, term

    def loss(self, nets, batch, noise):
        error = tf.cast(nets["net"](batch["x"], training=True)[:, 0], tf.float32) - tf.reduce_sum(batch["x"], axis=1)
        hit = tf.cast(tf.reduce_any(batch["index"][:, None] == self.hit, axis=1), tf.float32)
        return {"error": self.term(error + 0.001 * noise.normal("z"), hit)}

    def metrics(self, nets, batch, noise):
        return {}


def nan(error, hit):
    return tf.square(error) + tf.where(hit > 0, np.nan, 0.0)


def far(error, hit):
    return tf.square(error + 100.0 * hit)


def watched(term, **options):
    """A training in which the last example of batch 6 is bad; in a folder, if it is to go back."""
    def act(folder):
        last = toys.points(BATCH).batch(tf.constant(6, tf.int64), ())["index"].numpy()[-1]
        save = Event(Every(cycles=4), lambda made, means: made.save() and None, at_end=False)
        more = dict(options)
        if more.get("on_bad_update") == "rollback":
            more["run_dir"] = folder / f"run-{workers().count}-{workers().rank}"
        made = trainer(Hit(tf.constant([last]), term), events=[save], **more)
        said = ""
        try:
            made.train(cycles=12)
        except BadUpdate as error:
            said = str(error)
        return {**state(made), "said": said, "rollbacks": made.summary()["rollbacks"],
                "folder": (folder / f"run-{workers().count}-{workers().rank}").exists(),
                "scale": [float(part.commit.loss_scale.scale.numpy()) for part in made.engine.parts.values()
                          if part.commit.loss_scale]}

    return act


def others(options, act=lambda made: made.train(cycles=2)):
    """What is said where the last worker has other options than the rest; and whether an update was made."""
    def told(folder):
        given = options(0 if workers().rank + 1 < workers().count or workers().count == 1 else 1)
        made = None
        try:
            made = trainer(**given)
            act(made)
        except Invalid as error:
            return [str(error), made.counters.cycles if made else 0]
        finally:
            together._program = PROGRAM
        return [state(made)["hash"], made.counters.cycles]

    return told


PROGRAM = together._program


def program(other):
    together._program = (lambda: "another commit") if other else PROGRAM
    return {}


def points(other):
    x = toys.POINTS.copy()
    x[150, 3] += other
    return {"source": ArraySource({"x": x, "index": np.arange(200, dtype="int32")}, BATCH)}


def weights(other):
    net = toys.net(4, 1)
    net.build([None, 6])
    net.set_weights([w + other for w in net.get_weights()])
    return {"net": net}


OTHERS = {"another seed": lambda other: {"seed": other},
          "another option": lambda other: {"config": {"data": {"fraction": 0.5 + other}}},
          "another batch size": lambda other: {"source": toys.points(BATCH * (1 + other))},
          "another plan": lambda other: {"plan": "xla" if other else "graph"},
          "another number": points,
          "fewer examples": lambda other: {"source": ArraySource({"x": toys.POINTS[:190 if other else 200]}, BATCH)},
          "another commit": program,
          "another net": lambda other: {"net": toys.net(4 + other, 1)},
          "another policy": lambda other: {"on_bad_update": "skip" if other else "stop"},
          "another spike": lambda other: {"spike": Spike(4) if other else None},
          "other calls": lambda other: {"cycles_per_call": 3 + other},
          "other data to evaluate on": lambda other: {"held_out": toys.points(5 + other)},
          "other first weights": weights}

ACTS = {**{f"evaluation of {name}": evaluation(name) for name in SOURCES},
        **{f"training on {name}": training(name) for name in SOURCES},
        "stop": watched(nan), "skip": watched(nan, on_bad_update="skip"),
        "rollback": watched(nan, on_bad_update="rollback"),
        "spike": watched(far, on_bad_update="skip", spike=Spike(4, 20.0)),
        "loss scale": watched(far, precision="float16", on_bad_update="skip"),
        **{name: others(options) for name, options in OTHERS.items()},
        "another length": others(lambda other: {}, lambda made: made.train(cycles=2 + workers().rank)),
        "batch of 8": others(lambda other: {"source": toys.points(8)}),
        "three shards": others(lambda other: {"reproducible": 3}),
        "four shards": others(lambda other: {"reproducible": 4})}


def main(folder, rank):
    with (folder / f"{rank}.jsonl").open("w") as out:
        for name, act in ACTS.items():
            try:
                found = act(folder)
            except Exception as error:  # of one alone: the others end, too
                traceback.print_exc()
                found = f"{type(error).__name__}: {error}"
            print(json.dumps([name, found]), file=out, flush=True)
            keras.backend.clear_session()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
