"""The two sides of quality.py: a training that is evaluated each epoch and ends at its goal."""

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.quality import GOALS

BATCH, TEST_BATCH, RATE, LATENT_DIM = 128, 500, 1e-3, 20

Score = Callable[[float], bool]  # notes an epoch's metric; is it enough?


def measured(point: dict[str, Any]) -> dict[str, Any]:
    """What a process of quality.py does: {"epochs": [{"seconds", "metric"}]}, seconds since its start."""
    epochs: list[dict[str, float]] = []

    def score(metric: float) -> bool:
        epochs.append({"seconds": time.monotonic() - point["began"], "metric": float(metric)})
        return point["goal"] is not None and GOALS[point["workload"]].reached(point["goal"], metric)

    {"ours": _ours, "keras": _keras}[point["side"]](point, score)
    return {"side": point["side"], "seed": point["seed"], "epochs": epochs}


def _data(point: dict[str, Any]) -> Any:
    from engine.data.catalog import load

    dataset: Any = load(point["dataset"], point["data_dir"])
    if not point["examples"]:
        return dataset
    parts = {part: {name: array[:point["examples"]] for name, array in getattr(dataset, part).items()}
             for part in ("train", "test")}
    return dataclasses.replace(dataset, **parts)


def _net(point: dict[str, Any], dataset: Any, create: Callable[..., Any]) -> Any:
    if point["workload"] == "convnet":
        return create("convnet", classes=len(dataset.classes))
    return create("dense-vae", latent_dim=LATENT_DIM, image_shape=dataset.image_shape)


def _ours(point: dict[str, Any], score: Score) -> None:
    import keras
    import train_classifier

    import nets
    from engine import Event, Every, Recording, Stop, Trainer, Update, prepare
    from engine.data.augment import scale
    from losses.strategies import VAE, Supervised

    prepare(point["seed"])
    dataset, classify = _data(point), point["workload"] == "convnet"
    names = None if classify else ("image",)
    strategy, net = (Supervised(), "classifier") if classify else (VAE(), "vae")
    held_out = dataset.source("test", TEST_BATCH, transform=scale, names=names)

    def mistakes(trainer: Any) -> Any:
        return train_classifier.pictures(trainer, strategy, held_out, dataset.classes)

    with tempfile.TemporaryDirectory(prefix="phaseloop-quality-") as folder:
        def judge(trainer: Any, means: Any) -> Stop | None:
            reached = score(trainer.metrics[GOALS[point["workload"]].metric])
            return Stop("the goal is reached") if reached else None

        trainer = Trainer(strategy, {net: _net(point, dataset, nets.create)},
                          Update(keras.optimizers.Adam(RATE), average=point["average"] or None),
                          dataset.source("train", BATCH, point["seed"], scale, names), seed=point["seed"],
                          held_out=held_out, run_dir=Path(folder, "run"), plan=point["plan"],
                          record=Recording(Every(cycles=100), draw=mistakes if classify else None),
                          events=[Event(Every(epochs=1), judge, at_end=False)])
        trainer.train(epochs=point["epochs"])


def _keras(point: dict[str, Any], score: Score) -> None:
    import keras

    from benchmarks import stock

    keras.utils.set_random_seed(point["seed"])
    dataset, classify = _data(point), point["workload"] == "convnet"
    train, test = ({**part, "image": part["image"].astype("float32") / 255} for part in (dataset.train, dataset.test))
    net = _net(point, dataset, stock.create)
    model = net if classify else _vae(net)
    model.compile(keras.optimizers.Adam(RATE), steps_per_execution=point["steps"],
                  jit_compile={"auto": "auto", "yes": True, "no": False}[point["jit"]],
                  **({"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                      "metrics": ["accuracy"]} if classify else {}))

    class Judge(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if score(logs[f"val_{GOALS[point['workload']].metric}"]):
                self.model.stop_training = True

    labels = [part["label"] if classify else None for part in (train, test)]
    model.fit(train["image"], labels[0], batch_size=BATCH, epochs=point["epochs"], verbose=0, callbacks=[Judge()],
              validation_data=(test["image"], labels[1]) if classify else (test["image"],),
              validation_batch_size=TEST_BATCH)


def _vae(net: Any) -> Any:
    import keras
    import tensorflow as tf

    class Model(keras.Model):
        """As Keras's own example of a VAE, with the likelihood and the bound of losses/strategies/vae.py."""

        def __init__(self) -> None:
            super().__init__()
            self.net, self.bound = net, keras.metrics.Mean("negative_elbo")
            self.built = True

        def losses_of(self, images: Any, training: bool) -> Any:
            """Nats per image [B]."""
            mean, log_var = net.encode(images, training=training)
            logits = net.decode(mean + tf.exp(0.5 * log_var) * tf.random.normal(tf.shape(mean)), training=training)
            cells = tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=logits)
            kl = 0.5 * tf.reduce_sum(tf.square(mean) + tf.exp(log_var) - 1.0 - log_var, axis=1)
            return tf.reduce_sum(cells, axis=[1, 2, 3]) + kl

        def train_step(self, data: Any) -> Any:
            images, _, _ = keras.utils.unpack_x_y_sample_weight(data)
            with tf.GradientTape() as tape:
                nats = self.losses_of(images, training=True)
                objective = tf.reduce_mean(nats)
            variables = net.trainable_variables
            self.optimizer.apply(tape.gradient(objective, variables), variables)
            self.bound.update_state(nats)
            return {"negative_elbo": self.bound.result()}

        def test_step(self, data: Any) -> Any:
            images, _, _ = keras.utils.unpack_x_y_sample_weight(data)
            self.bound.update_state(self.losses_of(images, training=False))
            return {"negative_elbo": self.bound.result()}

    net(tf.zeros([1, *net.image_shape]))
    return Model()
