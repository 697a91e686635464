"""The examples of the docstrings train as they are printed; what is wrong is one line."""

import doctest
import inspect

import keras
import pytest
import tensorflow as tf

from engine import Invalid, LossStrategy, Phase, Update
from losses import gradients
from tests import toys


class Autoencoder(LossStrategy):
    """Two terms, as the examples name them."""

    def phases(self):
        return [Phase("fit", self.loss, updates=["net"])]

    def loss(self, nets, batch, noise):
        decoded = nets["net"](batch["x"], training=True)
        return {"reconstruction": tf.reduce_sum(tf.square(decoded - batch["x"]), axis=1),
                "adversarial": -tf.reduce_sum(decoded, axis=1)}


def net():
    return keras.Sequential([keras.layers.Dense(4, activation="tanh"), keras.layers.Dense(6, name="last")])


def trained(update, plan):
    keras.utils.set_random_seed(0)
    engine = toys.engine(Autoencoder(), {"net": net()}, {"fit": update}, toys.points(), plan=plan)
    assert not engine.run(3).fault
    return toys.bits(engine, engine.nets)


@pytest.mark.parametrize("name", gradients.__all__)
def test_the_example_trains_as_printed(name):
    words = {"Update": Update, "SGD": keras.optimizers.SGD}
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(gradients, name), globs=words)
    found = doctest.DocTestRunner().run(example, clear_globs=False)
    assert (found.attempted, found.failed) == (2, 0)
    plain = trained(Update(keras.optimizers.SGD(0.1)), "eager")
    assert trained(example.globs["update"], "eager") != pytest.approx(plain, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", gradients.__all__)
def test_docstrings_have_the_house_order(name):
    text = inspect.getdoc(getattr(gradients, name))
    places = [text.find(part) for part in ("Formula:", "Args:", "Returns:", "Raises:", "Source:", "Example:")]
    assert -1 not in places and places == sorted(places), f"{name}: {places}"


@pytest.mark.parametrize("plan", ["eager", "graph"])
@pytest.mark.parametrize("choice, message", [
    (gradients.conflict_projection("reconstruction", "code"),
     r"^`objective` \(code\) must be of terms: reconstruction, adversarial$"),
    (gradients.equal_norms("objective", "adversarial"),
     r"^`objective` \(objective\) must be of terms: reconstruction, adversarial$"),
    (gradients.adaptive_weight("adversarial", "code", "*"), r"^`objective` \(code\) must be of terms: recon"),
    (gradients.adaptive_weight("adversarial", "reconstruction", "net/*first/*"),
     r"^`layer` \(net/\*first/\*\) must be a pattern of a weight that the phase moves, as net/.*/kernel$"),
])
def test_a_name_that_there_is_not_is_one_line(choice, message, plan):
    engine = toys.engine(Autoencoder(), {"net": net()}, {"fit": Update(keras.optimizers.SGD(0.1), gradient=choice)},
                         toys.points(), plan=plan)
    with pytest.raises(ValueError if "layer" in message else Invalid, match=message):
        engine.run(1)
