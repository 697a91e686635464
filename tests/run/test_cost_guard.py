"""What an update, a call and a checkpoint cost, counted and not timed: a regression shows wherever the tests run.

The bounds are today's counts and a twentieth more. One that is broken is either mended, or raised with the reason in
the commit: `python -m tests.run.test_cost_guard` prints the counts.
"""

import tracemalloc

import keras
import numpy as np
import pytest

import nets
from engine import ArraySource, Trainer
from engine.data.augment import scale
from engine.run import checkpoint
from engine.run.cost import operations
from engine.run.state import variables_of
from losses.strategies import VAE, WGANGP, Supervised
from tests import toys

IMAGES = np.zeros([256, 28, 28, 1], np.uint8)
LABELS = np.zeros([256], np.int32)


def adam():
    return keras.optimizers.Adam(1e-3)


def mlp():
    return Supervised(), {"classifier": nets.create("mlp", hidden=(256,))}, adam()


def vae():
    return VAE(), {"vae": nets.create("dense-vae", latent_dim=20)}, adam()


def wgan_gp():
    made = {"generator": nets.create("generator28"), "critic": nets.create("critic28")}
    return WGANGP(), made, {"critic": adam(), "generator": adam()}


def graph_of(make, plan="graph"):
    """The traced loop, and how many numbers the draws and batches of one cycle are, in bytes."""
    strategy, made, updates = make()
    arrays = {"image": IMAGES, "label": LABELS} if make is mlp else {"image": IMAGES}
    trainer = Trainer(strategy, made, updates, ArraySource(arrays, 64, transform=scale), plan=plan)
    trainer.engine.run(0)
    drawn = sum(step.inputs.bytes_per_update * step.phase.repeats for step in trainer.engine.steps.values())
    return operations(trainer.engine.plan.graph, without=["_guarded_apart"]), drawn  # in a branch not taken


# Operations of the traced graph; bytes of batches and draws of a cycle.
BOUNDS = {mlp: (695, 64 * (28 * 28 + 4)), vae: (1005, 64 * (28 * 28 + 4 * 20)),
          wgan_gp: (5815, 64 * (5 * (28 * 28 + 4 * 65) + 4 * 64))}


@pytest.mark.parametrize("make", BOUNDS)
def test_a_cycle_has_no_more_operations_and_draws_than_it_had(make):
    kinds, drawn = graph_of(make)
    most, exactly = BOUNDS[make]
    assert sum(kinds.values()) <= 1.05 * most
    assert drawn == exactly
    assert kinds["While"] == 1 and not kinds["PyFunc"] and not kinds["EagerPyFunc"]


def test_under_xla_a_launch_is_a_block_of_updates():
    kinds, _ = graph_of(vae, "xla")
    assert kinds["While"] == 3  # blocks; in each, until it is done; and in that the updates, compiled as one


def test_a_call_hands_a_few_numbers_to_the_host_however_many_cycles_it_runs(monkeypatch):
    made, _ = toys.gan()
    made.run(1)
    handed, kind = [], type(toys.tf.constant(0))
    numpy = kind.numpy
    monkeypatch.setattr(kind, "numpy", lambda tensor: handed.append(numpy(tensor).nbytes) or numpy(tensor))
    for cycles in (1, 50):
        handed.clear()
        made.run(cycles)
        assert (len(handed), sum(handed)) == (14, 228)


def test_a_call_takes_no_memory_of_the_host():
    made, _ = toys.gan()
    made.run(2)
    tracemalloc.start()
    try:
        made.run(50)
        assert tracemalloc.get_traced_memory()[1] < 200_000  # bytes: names and reports, no arrays
    finally:
        tracemalloc.stop()


def test_the_copy_for_a_checkpoint_is_one_copy():
    net = toys.net(400, 400)
    trainer = Trainer(toys.Fit(), {"net": net}, adam(), toys.points(), plan="graph")
    variables = variables_of(trainer.engine)
    size = sum(variable.numpy().nbytes for variable in variables.values())
    assert size > 1e6
    tracemalloc.start()
    try:
        held = checkpoint.copied(variables)
        assert sum(array.nbytes for array in held.values()) == size
        assert tracemalloc.get_traced_memory()[1] < 1.05 * size + 100_000
    finally:
        tracemalloc.stop()


if __name__ == "__main__":
    for each in BOUNDS:
        counted, bytes_drawn = graph_of(each)
        print(each.__name__, sum(counted.values()), bytes_drawn)
