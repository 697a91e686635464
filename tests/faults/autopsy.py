"""Faults planted in ten nets: does the autopsy name operation, layer or place, phase, pass and examples?

  python -m tests.faults.autopsy [--plan eager]      100 faults, some minutes

Each fault makes one update bad: a term, a gradient, a layer's output, the batch, a weight or the new values. What must
be named follows from how it was planted.
"""

import argparse
import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import nets
from engine import ArraySource, BadUpdate, Event, Every, LossStrategy, Phase, Trainer, Update, prepare
from losses import penalty

EXAMPLES, BATCH = 24, 6
HERE = "autopsy.py:"  # a line of this file
INF = float("inf")


@tf.custom_gradient
def flat(z):
    """Its gradient is an own one, that divides by 0 where ``z`` is 0."""
    return z, lambda upstream: upstream * tf.math.reciprocal(z)


def at(m, bad, z):
    return tf.where(m, bad, z)


# kind -> (term of z, which is 0 in the bad example and between 1 and 3 elsewhere, and of m, which example is bad;
#          pass; operations that may be named)
TERMS: dict[str, tuple[Callable[[Any, Any], Any], str, set[str]]] = {
    "log of 0": (lambda z, m: tf.math.log(z), "forward", {"Log"}),
    "exp of 200": (lambda z, m: tf.exp(z + at(m, 200.0, 0.0 * z)), "forward", {"Exp"}),
    "1/0": (lambda z, m: 1.0 / z, "forward", {"RealDiv"}),
    "0/0": (lambda z, m: z / (2.0 * z), "forward", {"RealDiv"}),
    "root of less than 0": (lambda z, m: tf.sqrt(z - 0.5), "forward", {"Sqrt"}),
    "rsqrt of 0": (lambda z, m: tf.math.rsqrt(z), "forward", {"Rsqrt"}),
    "power": (lambda z, m: tf.pow(z + at(m, 1e9, 0.0 * z), 6.0), "forward", {"Pow"}),
    "acos of 2": (lambda z, m: tf.acos(at(m, z + 2.0, 0.1 * z)), "forward", {"Acos"}),
    "square": (lambda z, m: tf.square(z + at(m, 1e25, 0.0 * z)), "forward", {"Square"}),
    "inf - inf": (lambda z, m: tf.exp(z + at(m, 99.0, 0.0 * z)) - tf.exp(2.0 * z + at(m, 99.0, 0.0 * z)), "forward",
                  {"Exp"}),
    "masked to the last": (lambda z, m: tf.nn.softmax(z[:, None] + at(m[:, None] | [[True, False]], -INF, 0.0))[:, 1],
                           "forward", {"Softmax"}),
    "log of a mean": (lambda z, m: z * tf.math.log(tf.reduce_mean(at(tf.reduce_any(m), 0.0 * z, z))), "forward",
                      {"Log"}),
    "sum": (lambda z, m: tf.reduce_sum(at(m[:, None], 2e38, 1.0) * tf.ones([1, 3]) * (z[:, None] + 1.0), 1), "forward",
            {"Sum"}),
    "root at 0": (lambda z, m: tf.sqrt(z), "backward", {"Sqrt"}),
    "power at 0": (lambda z, m: tf.pow(z, 0.5), "backward", {"Pow"}),
    "norm at 0": (lambda z, m: tf.norm(z[:, None] * tf.ones([1, 3]), axis=1), "backward", {"Sqrt"}),
    "asin at 1": (lambda z, m: tf.asin(at(m, 1.0 + z, 0.1 * z)), "backward", {"Asin"}),
    "kept-out log": (lambda z, m: at(m, 0.0, tf.math.log(z)), "backward", {"Log"}),
    "kept-out exp": (lambda z, m: at(m, 0.0, tf.exp(z + at(m, 200.0, 0.0 * z))), "backward", {"Exp"}),
    "kept-out 1/0": (lambda z, m: at(m, 0.0, 1.0 / z), "backward", {"RealDiv"}),
    "kept-out atanh": (lambda z, m: at(m, 0.0, tf.atanh(at(m, 1.0 + z, 0.1 * z))), "backward", {"Atanh"}),
    "own gradient": (lambda z, m: flat(z), "backward", {"flat"}),
}
WITHOUT_EXAMPLES = {"log of a mean"}


@dataclass
class Case:
    """One fault and what must be named.

    Attributes:
      layer: Name of the layer; or the place of its kernel among the kernels. line: What the line must hold.
      number: Number of the bad example in the data; -1 - j is the j-th of the first batch. examples: Whether it is
        named.
      term: The planted one, of ``TERMS``.
      weights: Changes the net before the training; later: the same after two updates, in this kernel.
      data: Changes the bad example.
    """

    net: str
    name: str
    stage: str
    operations: set[str]
    phase: str = "fit"
    layer: str | int = ""
    line: str = ""
    number: int = 0
    examples: bool = True
    term: str = ""
    weights: Callable[[Any], None] | None = None
    later: tuple[int, float] | None = None
    data: Callable[[np.ndarray], None] | None = None
    kind: str = "none"
    rate: float = 1e-3
    factor: float = 1.0
    accumulate: int = 1
    precision: str = "float32"
    after: Any = None


class Planted(LossStrategy):
    """A loss of a workload, with a term that goes bad where ``number`` is in the batch."""

    def __init__(self, loss, case):
        self.own, self.case = loss, case
        self.after = case.after

    def state(self):
        return {"kept": np.float32(1.0)} if self.after else {}

    def phases(self):
        if self.own is penalised:
            return [Phase("critic", self.critic, updates=["critic"], separable=True),
                    Phase("generator", self.generator, updates=["generator"], reads=None)]
        return [Phase("fit", self.loss, updates=["net"], after=self.after, separable=True)]

    def loss(self, nets, batch, noise):
        return self.harmed(self.own(nets["net"], batch), batch)

    def critic(self, nets, batch, noise):
        fake = nets["generator"](noise.normal("z", [4]), training=True)
        harm = batch if self.case.phase == "critic" else {}
        return self.harmed(self.own(nets["critic"], batch, fake, noise, self.case), harm)

    def generator(self, nets, batch, noise):
        scores = nets["critic"](nets["generator"](noise.normal("z", [4]), training=True))[:, 0]
        harm = {"number": tf.range(BATCH)} if self.case.phase == "generator" else {}
        return self.harmed(-scores, harm)

    def harmed(self, loss, batch):
        terms = {"loss": self.case.factor * tf.cast(loss, tf.float32)}
        if self.case.term and "number" in batch:
            bad = batch["number"] == self.case.number
            z = at(bad, 0.0 * terms["loss"], 2.0 + tf.sin(terms["loss"]))
            terms["planted"] = TERMS[self.case.term][0](z, bad)
        return terms


def squared(net, batch):
    return tf.square(tf.reshape(net(batch["x"], training=True), [-1]) - 1.0)


def classes(net, batch):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(batch["y"], tf.cast(net(batch["x"], training=True),
                                                                             tf.float32))


def reconstructed(net, batch):
    logits = net(batch["x"], training=True)
    return tf.reduce_mean(tf.square(logits - batch["x"]), axis=list(range(1, logits.shape.rank)))


def bound(net, batch):
    mean, log_var = net.encode(batch["x"], training=True)
    image = net.decode(mean, training=True)
    return tf.reduce_mean(tf.square(image - batch["x"]), axis=[1, 2, 3]) + tf.reduce_sum(
        tf.square(mean) + tf.exp(log_var) - log_var, axis=1)


def penalised(critic, batch, fake, noise, case):
    real, mix = batch["x"], noise.uniform("mix", [])
    derivative = penalty.gradient_penalty(lambda x: critic(x, training=True)[:, 0], real, fake, mix)
    if case.name == "naive penalty":
        with tf.GradientTape() as tape:
            tape.watch(real)
            scores = critic(real, training=True) * at((batch["number"] == case.number)[:, None], 0.0, 1.0)
        derivative = tf.square(tf.sqrt(tf.reduce_sum(tf.square(tape.gradient(scores, real)), axis=1)) - 1.0)
    if case.name == "penalty of a log":
        with tf.GradientTape() as tape:
            tape.watch(real)
            kept = at((batch["number"] == case.number)[:, None], 0.0 * real, tf.abs(real) + 1.0)
            scores = at((batch["number"] == case.number), 0.0, tf.reduce_sum(tf.math.log(kept), 1)) * tf.reduce_mean(
                critic(real))
        derivative = tf.reduce_sum(tf.square(tape.gradient(scores, real)), axis=1)
    return critic(fake)[:, 0] - critic(real)[:, 0] + derivative


class Odd(keras.layers.Layer):
    """Goes bad where its input is above 100 (which the marked example's is)."""

    def __init__(self, kind, **options):
        super().__init__(**options)
        self.kind = kind

    def call(self, inputs):
        x = inputs[0] + 0.0 * inputs[1]  # so that gradients pass
        over = tf.nn.relu(x - 100.0)
        if self.kind == "log":
            return tf.math.log(1.0 - tf.minimum(over, 1.0) + 0.0 * x)
        if self.kind == "exp":
            return tf.exp(0.1 * x + over)
        if self.kind == "root":
            return tf.sqrt(1.0 - tf.minimum(over, 1.0) + 0.0 * x)
        return x / (1.0 - tf.minimum(over, 1.0))


def normal(*shape):
    return np.random.default_rng(3).normal(size=(EXAMPLES, *shape)).astype("float32")


def labels():
    return np.random.default_rng(4).integers(0, 3, EXAMPLES).astype("int32")


def own(kind):
    x = keras.Input([5])
    h = keras.layers.Dense(5, name="first", activation="tanh")(x)
    h = keras.layers.Add(name="join")([h, x if kind == "none" else Odd(kind, name="odd")([x, h])])
    return keras.Model(x, keras.layers.Dense(3, name="last", kernel_regularizer="l2")(h), name="own")


def attentive():
    x = keras.Input([4, 5])
    h = keras.layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    h = keras.layers.LayerNormalization(name="norm")(h + x)
    return keras.Model(x, keras.layers.Dense(3, name="last")(keras.layers.Flatten()(h)), name="attentive")


def images():
    return normal(28, 28, 1)


def generator_and_critic():
    def net(name, width):
        return keras.Sequential([keras.layers.Dense(7, activation="tanh", name="hidden"),
                                 keras.layers.Dense(width, name="out")], name=name)

    return {"critic": net("critic_net", 1), "generator": net("generator_net", 5)}


# workload -> (makes the nets of a case, its loss, its x)
WORKLOADS: dict[str, tuple[Callable[[Case], Any], Any, Callable[[], np.ndarray]]] = {
    "mlp": (lambda case: nets.create("mlp", hidden=(7, 8), classes=3), classes, lambda: normal(4, 4, 1)),
    "convnet": (lambda case: nets.create("convnet", classes=3), classes, images),
    "dense-vae": (lambda case: nets.create("dense-vae", latent_dim=2, hidden=9), bound, images),
    "autoencoder": (lambda case: nets.create("dense-autoencoder", latent_dim=2, hidden=(9, 5)), reconstructed, images),
    "linear": (lambda case: nets.create("linear"), squared, lambda: normal(5)),
    "lstm": (lambda case: nets.create("lstm", vocabulary=20, embedding=4, units=(3, 5)), squared,
             lambda: np.random.default_rng(5).integers(1, 20, (EXAMPLES, 7)).astype("int32")),
    "residual-stack": (lambda case: nets.create("residual-stack", blocks=2, filters=4, classes=3), classes,
                       lambda: normal(16, 16, 1)),
    "gan": (lambda case: generator_and_critic(), penalised, lambda: normal(5)),
    "own": (lambda case: own(case.kind), classes, lambda: normal(5)),
    "attention": (lambda case: attentive(), classes, lambda: normal(4, 5)),
}


def terms(net, kinds, **options):
    """A case for each kind of term."""
    for i, kind in enumerate(kinds):
        _, stage, operations = TERMS[kind]
        number = 3 if options.get("phase") == "generator" else (5 * i + 2) % EXAMPLES
        yield Case(net, kind, stage, operations, line=HERE, term=kind, number=number,
                   examples=kind not in WITHOUT_EXAMPLES, **options)


def kernels(net):
    return [v for v in net.trainable_variables if v.name in ("kernel", "embeddings")]


def scaled(place, factor):
    """Changes a kernel."""
    return lambda net: kernels(net)[place].assign(kernels(net)[place] * factor)


def spoilt(place, value):
    """Changes one number of a kernel."""
    def change(net):
        v = kernels(net)[place]
        v.assign(tf.tensor_scatter_nd_update(tf.convert_to_tensor(v), [[0] * v.shape.rank], [value]))

    return change


def marked(value):
    """Changes all numbers of the example."""
    return lambda example: example.fill(value)


def one(value):
    """Changes one number of the example."""
    return lambda example: example.reshape(-1).__setitem__(1, value)


def overflowing(net, place, line, operation, mark=1e12, factor=1e28, **options):
    """The activations of the marked example overflow in one layer, and those of no other example."""
    return Case(net, f"overflow in kernel {place}", "forward", {operation}, layer=place, line=line, number=-3,
                data=marked(mark), weights=scaled(place, factor), **options)


def poisoned(net, number, value=np.nan, **options):
    return Case(net, f"{value} in an example", "given", {"the batch's x"}, number=number, data=one(value), **options)


def weight(net, place, value):
    return Case(net, f"{value} in a weight", "given", {"weight"}, layer=place, examples=False, later=(place, value))


def rate(net, place, **options):
    return Case(net, "a rate of 1e35", "update", {"weight"}, layer=place, examples=False, rate=1e35, **options)


def odd(number, kind, operation, mark, **options):
    return Case("own", f"{kind} in a layer", "forward", {operation}, layer="odd", line=HERE, number=number,
                data=marked(mark), kind=kind, **options)


def logged(nets, state, seen):
    return {"kept": tf.math.log(state["kept"] - 1.0)}


def cases() -> list[Case]:
    """All 100."""
    names = list(TERMS)
    return [
        *terms("mlp", names[:12]),
        overflowing("mlp", 1, "nets/mlp.py", "MatMul"), poisoned("mlp", 7), poisoned("mlp", 9, INF),
        weight("mlp", 1, np.nan),
        overflowing("mlp", 0, "nets/mlp.py", "MatMul", 6e4, 1e2, precision="float16"),
        Case("mlp", "an input that float16 cannot hold", "forward", {"Cast"}, number=5, data=marked(1e6),
             precision="float16"),
        *terms("linear", names[12:]),
        poisoned("linear", 11), rate("linear", 0),
        Case("linear", "a norm that overflows", "update", {"gradient_norm"}, examples=False, factor=1e25),
        Case("linear", "a square that overflows", "forward", {"Square"}, number=3, line=HERE, data=marked(1e28)),
        weight("linear", 0, INF),
        *terms("convnet", ["log of 0", "kept-out log", "root at 0"]), poisoned("convnet", 2),
        overflowing("convnet", 1, "nets/_convolutions.py", "Conv2D"),
        overflowing("convnet", 2, "nets/convnet.py", "MatMul"),
        *terms("dense-vae", ["exp of 200", "norm at 0", "kept-out exp"]),
        Case("dense-vae", "exp of a log variance", "forward", {"Exp"}, number=5, line=HERE, data=marked(1e5)),
        overflowing("dense-vae", 1, "nets/dense_vae.py", "MatMul"),
        *terms("autoencoder", ["0/0", "kept-out 1/0", "own gradient"]), poisoned("autoencoder", 1),
        overflowing("autoencoder", 2, "nets/autoencoder.py", "MatMul"),
        weight("autoencoder", 3, np.nan),
        *terms("lstm", ["square", "log of 0", "root at 0", "kept-out atanh", "own gradient"]),
        weight("lstm", 1, np.nan), rate("lstm", 0),
        *terms("residual-stack", ["inf - inf", "power at 0", "log of a mean", "kept-out 1/0", "acos of 2"]),
        poisoned("residual-stack", 6), weight("residual-stack", 2, INF),
        *terms("gan", ["log of 0", "root at 0", "kept-out log", "exp of 200", "own gradient", "asin at 1"],
               phase="critic"),
        Case("gan", "naive penalty", "backward", {"Sqrt"}, "critic", number=13, line=HERE),
        Case("gan", "penalty of a log", "forward", {"Log"}, "critic", number=4, line=HERE),
        *terms("gan", ["1/0", "norm at 0", "kept-out exp"], phase="generator"),
        poisoned("gan", 15, phase="critic"),
        odd(10, "log", "Log", 500.0), odd(11, "exp", "Exp", 500.0), odd(12, "divide", "RealDiv", 500.0),
        Case("own", "root in a layer", "backward", {"Sqrt"}, layer="odd", line=HERE, number=13, data=marked(500.0),
             kind="root"),
        odd(10, "log", "Log", 500.0, precision="bfloat16"), odd(11, "exp", "Exp", 150.0, precision="float16"),
        odd(12, "divide", "RealDiv", 500.0, precision="float16"), odd(9, "exp", "Exp", 500.0, precision="bfloat16"),
        Case("own", "a penalty of weights that overflows", "forward", {"Square"}, examples=False,
             weights=scaled(1, 1e25)),
        Case("own", "log of 0 in the state", "update", {"Log"}, line=HERE, examples=False, after=logged),
        *terms("own", ["log of 0", "kept-out atanh", "asin at 1"]),
        *terms("own", ["log of 0", "root at 0", "0/0"], accumulate=2),
        *terms("attention", ["masked to the last", "rsqrt of 0", "norm at 0", "kept-out exp", "sum", "own gradient"]),
        poisoned("attention", 14, -INF), overflowing("attention", 2, HERE, "BatchMatMulV2"),
    ]


def trainer_of(case: Case, plan: str) -> Any:
    """A trainer that meets the fault."""
    keras.backend.clear_session()  # for the names of layers
    prepare(0, case.precision)
    make, loss, x = WORKLOADS[case.net]
    made, x = make(case), x()
    made = made if isinstance(made, dict) else {"net": made}
    arrays = {"x": x, "y": labels(), "number": np.arange(EXAMPLES, dtype="int32")}
    if case.number < 0:
        first = ArraySource(arrays, BATCH, seed=1).batch(tf.constant(0, tf.int64), ())["number"]
        case.number = int(first[-1 - case.number])
    if case.data:
        case.data(x[case.number])
    strategy = Planted(loss, case)
    updates = {phase.name: Update(keras.optimizers.SGD(case.rate), accumulate=case.accumulate)
               for phase in strategy.phases()}
    trainer = Trainer(strategy, made, updates, ArraySource(arrays, BATCH, seed=1), plan=plan, say=lambda line: None,
                      precision=case.precision)
    if case.weights:
        case.weights(made["net"])
    if case.later:
        trainer.events = [Event(Every(cycles=2), lambda trainer, means: spoilt(*case.later)(made["net"]))]
    return trainer


def judged(case: Case, plan: str = "eager") -> tuple[bool, str]:
    """Whether all that is to be named is, and what was said."""
    trainer = trainer_of(case, plan)
    try:
        trainer.train(cycles=20)
        return False, "no update was bad"
    except BadUpdate as error:
        found, fault = trainer.autopsy(), error.fault
    engine = trainer.engine
    read = np.concatenate([trainer.data.batch(tf.constant(engine.place.batches[0] + i, tf.int64), ())["number"]
                           for i in range(case.accumulate)])
    bad = tuple(np.flatnonzero(read == case.number)) if case.phase != "generator" else (case.number,)
    layer, operations = case.layer, case.operations
    if isinstance(layer, int):
        path = f"net/{kernels(engine.nets['net'])[layer].path}"
        layer, operations = path.rpartition("/")[0], {f"weight {path}" if each == "weight" else each
                                                      for each in operations}
    if found.operation.startswith("weight "):
        layer = ""
    right = (found.phase == case.phase == fault.phase and found.update == fault.update and found.stage == case.stage
             and found.operation in operations and found.layer.endswith(layer)
             and case.line in found.line and found.examples == (bad if case.examples else None)
             and (case.phase == "generator" or not bad or set(found.in_data or [case.number]) == {case.number}))
    return right, str(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", default="eager", help="eager, graph or xla (default: %(default)s)")
    parser.add_argument("--only", help="faults whose net or name holds this")
    options, good = parser.parse_args(), 0
    chosen = [case for case in cases() if not options.only or options.only in f"{case.net}: {case.name}"]
    for case in chosen:
        try:
            right, said = judged(case, options.plan)
        except Exception as error:
            right, said = False, f"{type(error).__name__}: {error}".splitlines()[0]
        good += right
        print(f"{'right' if right else 'WRONG'}  {case.net}: {case.name}: {said}", flush=True)
        gc.collect()
    print(f"{good} of {len(chosen)} faults named: operation, place, phase, pass and examples")
    return int(good < 0.99 * len(chosen))


if __name__ == "__main__":
    sys.exit(main())
