"""What continues a run, what is refused with its difference, and what is taken anew."""

import json
import os

import keras
import numpy as np
import pytest

from engine import Invalid, Trainer, Update
from engine.run.fingerprint import of_strategy, of_value
from tests import toys


class Edited(toys.Fit):
    """Another loss under another name."""

    def loss(self, nets, batch, noise):
        found = super().loss(nets, batch, noise)
        return {**found, "squared_error": 2.0 * found["squared_error"]}


def made(folder, rate=0.1, strategy=None, resume="same", say=[].append, **update):
    keras.utils.set_random_seed(0)
    optimizer = keras.optimizers.SGD(rate, momentum=0.5)
    return Trainer(strategy or toys.Fit(), {"net": toys.net(1)}, Update(optimizer, **update), toys.points(),
                   run_dir=folder, record=False, plan="graph", say=say, resume=resume)


@pytest.fixture
def begun(tmp_path):
    trainer = made(tmp_path)
    trainer.train(cycles=4)
    trainer.save()
    return tmp_path


@pytest.mark.parametrize("change, line", [
    ({"rate": 0.2}, r"updates.fit.optimizer.learning_rate was 0.1\d* and is 0.2\d*"),
    ({"clip_norm": 1.0}, "updates.fit.clip_norm was None and is 1.0"),
    ({"average": lambda n: n}, "updates.fit.average was None and is '<lambda> "),
    ({"strategy": Edited()}, "strategy.class was 'Fit' and is 'Edited'; strategy.code was "),
    ({"strategy": toys.Fit(weights={"squared_error": 2.0})}, "weights.fit.squared_error was None and is 2.0|"
                                                             "weights.fit was None and is {'squared_error': 2.0}"),
])
def test_another_optimizer_or_loss_is_named_and_nothing_is_trained(begun, change, line):
    before = (begun / "config.json").read_bytes()
    with pytest.raises(Invalid, match=line):
        made(begun, **change)
    assert (begun / "config.json").read_bytes() == before


def test_always_goes_on_with_what_is_given_now(begun):
    trainer = made(begun, rate=0.02, resume="always")
    assert trainer.continued and trainer.counters.cycles == 4
    assert float(trainer.engine.parts["fit"].commit.update.optimizer.learning_rate.numpy()) == pytest.approx(0.02)
    trainer.train(cycles=6)
    trainer.save()
    again = made(begun, rate=0.02)  # is now the run's own
    assert again.counters.cycles == 6
    assert json.loads((begun / "config.json").read_text())["updates"]["fit"]["optimizer"]["learning_rate"] == (
        pytest.approx(0.02))
    with pytest.raises(Invalid, match="seed was 0 and is 1"):
        Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), toys.points(), seed=1, run_dir=begun, record=False,
                resume="always")


def test_a_net_that_a_strategy_holds_is_the_same_whatever_else_was_made():
    def held():
        strategy = toys.Fit()
        strategy.teacher = keras.Sequential([keras.Input([6]), keras.layers.Dense(3)])
        return of_strategy(strategy)

    assert held() == held()


def test_never_refuses_a_run_and_other_words_are_none(begun, tmp_path):
    with pytest.raises(Invalid, match="must be new or empty, for resume=never: it holds a run"):
        made(begun, resume="never")
    made(tmp_path / "new", resume="never").train(cycles=1)
    with pytest.raises(Invalid, match=r"`resume` \(yes\) must be same, always or never"):
        made(tmp_path / "other", resume="yes")


def test_code_is_compared_and_not_its_looks():
    first, second, third = {}, {}, {}
    source = '''
from engine import LossStrategy
class Mine(LossStrategy):
    def loss(self, nets, batch, noise):
        return {}
'''
    for space, text in ((first, source), (second, source), (third, source.replace("return {}", "return None"))):
        exec(compile(text, "typed in", "exec"), space)
    assert of_strategy(first["Mine"]()) == of_strategy(second["Mine"]()) != of_strategy(third["Mine"]())


@pytest.mark.parametrize("one, other", [
    (np.zeros(3), np.ones(3)), (lambda x: x, lambda x: 2 * x), ([1, 2], [2, 1]), ({"a": 1.0}, {"a": 2.0}),
    (float("nan"), float("inf")), (keras.optimizers.Adam(1e-3, beta_1=0.5), keras.optimizers.Adam(1e-3)),
])
def test_values_that_differ_have_other_fingerprints(one, other):
    assert of_value(one) == of_value(one) != of_value(other)
    json.dumps(of_value(one))


def test_on_another_number_of_cpus_it_is_said_and_no_claim_of_the_same_bits_is_made_any_more(begun, monkeypatch):
    count = len(os.sched_getaffinity(0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(count + 3)))
    said = []
    trainer = made(begun, say=said.append)
    line = f"CPUs was {count} and is {count + 3}"
    assert said == [f"warning: continued elsewhere, the bits may be others from here on: {line}"]
    trainer.train(cycles=6)
    trainer.save()
    monkeypatch.undo()
    for each in (trainer, made(begun)):  # also when it is back
        summary = each.summary()
        assert not summary["deterministic"] and line in summary["not_deterministic_because"]
