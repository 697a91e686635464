"""Faults found before the first update, each in one line."""

from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, Invalid, LossStrategy, Phase, Trainer, Update, prepare
from losses.strategies import VAE, Binary
from nets import DenseVAE
from tests import toys


class One(LossStrategy):
    """One phase around a loss of its own; ``options`` go to the phase."""

    def __init__(self, loss=None, updates=("net",), **options):
        self.phase = Phase("fit", loss or error, updates=list(updates), **options)

    def phases(self):
        return [self.phase]


def error(nets, batch, noise):
    return {"error": tf.square(nets["net"](batch["x"])[:, 0] - 1.0), "size": tf.reduce_mean(tf.abs(batch["x"]))}


def trainer(strategy=None, nets=None, updates=None, data=None, **options):
    said = []
    made = Trainer(strategy or One(), nets or {"net": toys.net(4, 1)}, updates or toys.adam(),
                   toys.points(8) if data is None else data, say=said.append, **options)
    assert said == [f"warning: {warning}" for warning in made.warnings]
    return made


def gan(nets=None, updates=None):
    return trainer(toys.TinyGAN(), nets or toys.gan_nets(),
                   updates or {"critic": toys.adam(), "generator": toys.adam()})


def loss_of(term):
    """A loss whose only term is ``term(y [8, 1], x [8, 6])``."""
    return lambda nets, batch, noise: {"error": term(nets["net"](batch["x"]), batch["x"])}


def frozen():
    made = toys.net(4, 1)
    made.trainable = False
    return made


def unknown_net(nets, batch, noise):
    return {"error": nets["critic"](batch["x"])[:, 0]}


def drawn_twice(nets, batch, noise):
    return {"error": nets["net"](batch["x"])[:, 0] + noise.normal("z") + noise.uniform("z")}


class Mean(LossStrategy):
    """The phases named, all of one loss."""

    def __init__(self, *names):
        self.names = names

    def phases(self):
        return [Phase(name, error, updates=["net"]) for name in self.names]



FAULTS = {
    # nets
    "no gradient": (
        lambda: trainer(One(loss_of(lambda y, x: tf.stop_gradient(y)[:, 0]))),
        r"`updates of phase fit` \(net\) must be a net that the loss depends on: none of its variables gets a grad"),
    "nothing to train": (
        lambda: trainer(nets={"net": frozen()}),
        r"`updates of phase fit` \(net\) must be a net with trainable variables: this one has none"),
    "no nets": (
        lambda: One(updates=[]),
        r"`updates of phase fit` \(\[\]\) must be at least one net: a phase that moves nothing trains nothing"),
    "nets as a string": (
        lambda: Phase("fit", error, updates="net"), r"`updates of phase fit` \(net\) must be a list of net names"),
    "unknown net in updates": (
        lambda: trainer(One(updates=["net", "critic"])),
        r"`updates of phase fit` \(critic\) must be one of the nets net$"),
    "unknown net in the loss": (lambda: trainer(One(unknown_net)), r"^`net` \(critic\) must be one of net$"),
    "not a net": (
        lambda: trainer(nets={"net": abs}), r"`net net` \(<built-in function abs>\) must be a keras.Model"),
    "unused net": (
        lambda: trainer(nets={"net": toys.net(1), "spare": toys.net(1)}),
        r"`net spare` \(no variables\) must be used by a loss, or left out"),
    # terms
    "unknown weight": (
        lambda: trainer(One(weights={"kl": 0.5})),
        r"`term of phase fit` \(kl\) must be one of error, size: the loss returns these"),
    "unknown watch": (
        lambda: trainer(One(watch=["accuracy"])), r"`term of phase fit` \(accuracy\) must be one of error, size"),
    "watched and weighed": (
        lambda: One(weights={"size": 2.0}, watch=["size"]),
        r"`watch of phase fit` \(size\) must be without terms that have a weight"),
    "only watched": (
        lambda: trainer(One(watch=["error", "size"])),
        r"`watch of phase fit` \(\['error', 'size'\]\) must be fewer than all terms"),
    "a column": (
        lambda: trainer(One(loss_of(lambda y, x: tf.square(y)))),
        r"`fit/error` \(shape \[8, 1\]\) must be \[8\], one number per example, or a scalar"),
    "a square": (
        lambda: trainer(One(loss_of(lambda y, x: tf.square(y - x[:, 0])))),
        r"`fit/error` \(shape \[8, 8\]\) must be \[8\], .* two shapes may have broadcast"),
    "not a dict": (
        lambda: trainer(One(lambda nets, batch, noise: nets["net"](batch["x"]))),
        r"`result of phase fit` \(.*\) must be a dict \{name: tensor\}"),
    "a forgotten return": (
        lambda: trainer(One(lambda nets, batch, noise: None)), r"`result of phase fit` \(None\) must be a dict"),
    "no terms": (
        lambda: trainer(One(lambda nets, batch, noise: nets["net"](batch["x"]) is None or {})),
        r"`terms of phase fit` \(\{\}\) must be a dict \{name: tensor\} with at least one"),
    "a reserved name": (
        lambda: trainer(One(lambda nets, batch, noise: {"objective": nets["net"](batch["x"])[:, 0]})),
        r"`term of phase fit` \(objective\) must be another name: the engine uses this one"),
    "a draw of one name twice": (
        lambda: trainer(One(drawn_twice)), r"^`noise name` \(z\) must be used once per loss"),
    # phases and updates
    "no phases": (lambda: trainer(Mean()), r"`phases` \(\[\]\) must be at least one phase"),
    "equal names": (lambda: trainer(Mean("a", "a")), r"`phases` \(\['a', 'a'\]\) must be of different names"),
    "no data read": (
        lambda: trainer(One(lambda nets, batch, noise: {"error": nets["net"](noise.normal("z", [6]))[:, 0]},
                            reads=None)),
        r"`phases` \(\['fit'\]\) must be with one that reads the first source, data"),
    "a missing update": (
        lambda: gan(updates={"critic": toys.adam()}),
        r"`updates` \(\['critic'\]\) must be one per phase: critic, generator"),
    "a surplus update": (
        lambda: trainer(updates={"fit": toys.adam(), "fot": toys.adam()}),
        r"`updates` \(\['fit', 'fot'\]\) must be one per phase: fit"),
    "a lone optimizer for two phases": (
        lambda: gan(updates=toys.adam()), r"`updates` \(.*Adam.*\) must be one per phase: critic, generator"),
    "averaged twice": (
        lambda: trainer(Mean("a", "b"), updates={"a": Update(toys.adam(), average=0.9),
                                                 "b": Update(toys.adam(), average=0.9)}),
        r"`average` \(\['net', 'net'\]\) must be set in one phase only for each net"),
    "repeats": (lambda: One(repeats=0), r"`repeats of phase fit` \(0\) must be an integer of at least 1"),
    "a phase's name": (lambda: Phase("a/b", error, ["net"]), r"`phase name` \('a/b'\) must be a name without \"/\""),
    # options
    "a batch larger than the data": (
        lambda: ArraySource({"x": np.zeros([5, 2])}, 8),
        r"`batch_size` \(8\) must be at most the number of examples, 5"),
    "precision": (
        lambda: trainer(precision="float16"),
        r"`precision` \(float16\) must be that of the nets: net net has the policy float32; call engine.prepare"),
    "unknown precision": (
        lambda: trainer(precision="int8"), r"`precision` \(int8\) must be one of float32, bfloat16, float16"),
    "plan": (lambda: trainer(plan="jit"), r"`plan` \(jit\) must be one of .*eager, graph, halves, xla"),
    "cycles_per_call": (
        lambda: trainer(cycles_per_call=0), r'`cycles_per_call` \(0\) must be an integer of at least 1, or "auto"'),
    "on_bad_update": (lambda: trainer(on_bad_update="pass"), r"`on_bad_update` \(pass\) must be one of stop, skip"),
    "seed": (lambda: prepare(-1), r"`seed` \(-1\) must be at least 0"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_in_one_line(name):
    make, text = FAULTS[name]
    with pytest.raises(Invalid, match=text) as raised:
        make()
    assert "\n" not in str(raised.value)


def test_nets_in_half_precision_need_the_precision():
    prepare(0, "bfloat16")
    nets = {"net": toys.net(4, 1)}
    with pytest.raises(Invalid, match=r"`precision` \(float32\) must be that of the nets: net net has the policy "
                                      "mixed_bfloat16"):
        trainer(nets=nets)


def critic_with(layer, **options):
    return keras.Sequential([keras.layers.Dense(8), layer(**options), keras.layers.Dense(1)])


def test_batch_normalisation_under_a_gradient_penalty_is_warned_of():
    nets = {**toys.gan_nets(), "critic": critic_with(keras.layers.BatchNormalization)}
    (warning,) = gan(nets).warnings
    assert warning.startswith("phase critic: net critic uses batch normalisation under a gradient penalty, which ")
    assert "use layer normalisation" in warning


def test_layer_normalisation_and_batch_normalisation_elsewhere_are_not():
    nets = {"generator": keras.Sequential([keras.layers.Dense(8), keras.layers.BatchNormalization(),
                                           keras.layers.Dense(6)]),
            "critic": critic_with(keras.layers.LayerNormalization)}
    assert gan(nets).warnings == []
    plain = critic_with(keras.layers.BatchNormalization)

    def training(nets, batch, noise):
        return {"error": tf.square(nets["net"](batch["x"], training=True)[:, 0])}

    assert trainer(One(training), {"net": plain}).warnings == []


def test_variables_out_of_reach_of_the_loss_are_warned_of():
    class Partly(keras.Model):
        def __init__(self):
            super().__init__()
            self.used, self.idle = keras.layers.Dense(1), keras.layers.Dense(1, name="idle")

        def call(self, x):
            return self.used(x) + tf.stop_gradient(self.idle(x))

    (warning,) = trainer(nets={"net": Partly()}).warnings
    assert warning.startswith("phase fit: no gradient reaches ")
    assert warning.endswith(" of net net: let the loss use them, or set their trainable to False")
    assert warning.count("idle/") == 2 and "idle/kernel" in warning and "idle/bias" in warning


@pytest.mark.parametrize("low, high, line", [
    (0.0, 1.0, ""), (-1.0, 1.0, r"`image of a batch` \(-\d.*\) must be from 0 to 1, where VAE holds: scale it in the"),
    (0.0, 255.0, r"`image of a batch` \(2\d\d.*\) must be from 0 to 1"),
])
def test_pictures_outside_of_what_a_vae_is_of_are_refused(low, high, line):
    images = np.random.default_rng(0).uniform(low, high, [16, 8, 8, 1]).astype(np.float32)
    source = ArraySource({"image": images}, 8)

    def made():
        return Trainer(VAE(), {"vae": DenseVAE(latent_dim=2, image_shape=(8, 8, 1))}, keras.optimizers.SGD(0.1), source,
                       say=[].append)

    if not line:
        made()
        return
    with pytest.raises(Invalid, match=line):
        made()


@pytest.mark.parametrize("labels", [(1, 2), (0, 255)])
def test_labels_of_a_binary_loss_are_0_and_1_in_all_the_data(labels):
    label = np.full(64, labels[0] if labels[0] == 0 else 1, np.int32)
    label[40] = labels[1]  # in no first batch
    source = ArraySource({"tokens": np.zeros([64, 3], np.int32), "label": label}, 4)
    words = keras.Sequential([keras.layers.Embedding(2, 4), keras.layers.Flatten(), keras.layers.Dense(1),
                              keras.layers.Reshape([])])
    with pytest.raises(Invalid, match=rf"`label of a batch` \({labels[1]}\) must be from 0 to 1, where Binary holds"):
        Trainer(Binary(), {"classifier": words}, keras.optimizers.SGD(0.1), source, say=[].append)


@pytest.mark.parametrize("data", [[1, 2], iter([]), toys.POINTS, tf.data.Dataset.range(3)])
def test_data_that_are_no_source_are_one_line(data):
    with pytest.raises(Invalid, match=r"^`data` \(.*\) must be .*$"):
        Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), data)


@pytest.mark.parametrize("data", [
    {"x": toys.POINTS[:40].astype("float64")}, tf.data.Dataset.from_tensor_slices({"x": toys.POINTS[:40]}).batch(32)])
def test_arrays_and_a_dataset_train_and_evaluate_as_their_source_does(data):
    made = trainer(toys.Fit(), data=data, plan="eager")
    assert any("batches of 32 examples" in warning for warning in made.warnings) == isinstance(data, dict)
    whole = ArraySource({"x": toys.POINTS[:40]}, 32)
    made.train(cycles=1)
    assert made.evaluate(data) == pytest.approx(made.evaluate(whole), rel=1e-6)
    assert made.metric_names({"x": toys.POINTS[:3]}) == ["absolute_error"]
    if isinstance(data, dict):  # what is in the arrays now
        before = made.evaluate(data)
        data["x"][:] = 0
        assert made.evaluate(data) != before
        assert "float64 became float32" in made.warnings[1]
    else:
        assert "tf.data.Dataset" in made.summary()["not_deterministic_because"][0]


def test_a_missing_key_names_the_keys_that_there_are():
    def loss(nets, batch, noise):
        return {"error": nets["net"](batch["image"])[:, 0]}

    with pytest.raises(Invalid, match=r"`key of a batch` \(image\) must be one of x, index"):
        Trainer(One(loss), {"net": toys.net(1)}, toys.adam(), toys.points())


def test_data_of_every_source_are_compared_with_what_the_strategy_declares():
    class Two(One):
        ranges: ClassVar = {"y": (0.0, 1.0)}

        def phases(self):
            return [Phase("fit", self.loss, updates=["net"], reads=["a", "b"])]

        def loss(self, nets, batch, noise):
            return {"loss": tf.square(nets["net"](batch["a"]["x"])[:, 0]), "other": tf.square(batch["b"]["y"])}

    def made(high):
        other = ArraySource({"y": np.full(16, high, np.float32)}, 8)
        return Trainer(Two(), {"net": toys.net(4, 1)}, toys.adam(), {"a": toys.points(8), "b": other}, plan="graph")

    made(1.0)
    with pytest.raises(Invalid, match=r"`y of a batch` \(7\.0\) must be from 0 to 1"):
        made(7.0)
