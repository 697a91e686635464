"""PCGrad: by hand, against NumPy's algorithm 1, without a conflict, at extremes; and its orders."""

import itertools
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from losses.gradients import conflict_projection
from losses.gradients.projection import order_of
from tests.losses.gradients import references
from tests.losses.gradients.pulls import PLANS, chosen, of_gradients

SHAPES = ((3, 2), (2,), ())
NAMES = ("a", "b", "c", "d")


def conflicting(seed, tasks=4, size=1.0):
    """Gradients that mostly go against each other."""
    draw = np.random.default_rng(seed)
    return {name: [size * draw.normal(size=shape) for shape in SHAPES] for name in NAMES[:tasks]}


def test_by_hand():
    # (1, 0) and (-1, 1): the product is -1. The first loses -1/2 (-1, 1): (1/2, 1/2); the second -1 (1, 0): (0, 1).
    gradients = {"a": [np.array([1.0, 0.0])], "b": [np.array([-1.0, 1.0])]}
    (found,) = conflict_projection()(of_gradients(gradients))
    np.testing.assert_allclose(found, [0.5, 1.5], rtol=1e-6)


def test_factors_belong_to_the_gradients_and_the_rest_is_added():
    # Twice (1, 0) and (-1, 1): (1, 1) + (0, 1); "c", not named, and the penalty are added as they are.
    gradients = {"a": [np.array([1.0, 0.0])], "b": [np.array([-1.0, 1.0])], "c": [np.array([-9.0, 0.0])],
                 "regularization": [np.array([-9.0, -5.0])], "seen": [np.array([100.0, 0.0])]}
    factors = {"a": 2.0, "b": 1.0, "c": tf.constant(0.5), "regularization": 1.0}
    (found,) = conflict_projection("a", "b")(of_gradients(gradients, factors=factors))
    np.testing.assert_allclose(found, [1.0 - 4.5 - 9.0, 2.0 - 5.0], rtol=1e-6)
    del factors["c"]
    (found,) = conflict_projection()(of_gradients(gradients, factors=factors))
    np.testing.assert_allclose(found, [1.0 - 9.0, 2.0 - 5.0], rtol=1e-6)
    # A watched term, by name, has a factor of 1: (2, 0) and (100, 0) are parallel; "b" is of the rest.
    (found,) = conflict_projection("a", "seen")(of_gradients(gradients, factors=factors))
    np.testing.assert_allclose(found, [2.0 + 100.0 - 1.0 - 9.0, 1.0 - 5.0], rtol=1e-6)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("dtype, rtol", [("float32", 2e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("tasks", [1, 2, 4])
def test_numpy(tasks, dtype, rtol, plan):
    for update in (0, 7):
        gradients = conflicting(update, tasks)
        found = chosen(conflict_projection(seed=3), lambda number, each=gradients: of_gradients(
            each, dtype, update=number), plan, update)
        expected = references.pcgrad([references.long(each) for each in gradients.values()],
                                     references.splitmix_order(update, tasks, 3))
        assert [each.shape for each in found] == list(SHAPES) and found[0].dtype == dtype
        np.testing.assert_allclose(references.long(found), expected, rtol=rtol, atol=rtol)


def test_the_order_counts():
    gradients = conflicting(1)
    ends = {tuple(np.round(references.long(conflict_projection(seed=seed)(of_gradients(gradients))), 4))
            for seed in range(5)}
    assert len(ends) > 1


def test_without_a_conflict_it_is_the_sum():
    draw = np.random.default_rng(0)
    parallel = {name: [scale * each for each in conflicting(0)["a"]] for name, scale in zip(NAMES, (1.0, 3.0, 0.1, 0.0),
                                                                                           strict=True)}
    positive = {name: [draw.uniform(size=shape) for shape in SHAPES] for name in NAMES}
    one = {"a": conflicting(0)["a"]}
    for gradients in (parallel, positive, one):
        pull = of_gradients(gradients)
        single = pull.gradients(*({name: 1.0} for name in gradients))
        for found, *parts in zip(conflict_projection()(pull), *single, strict=True):
            np.testing.assert_array_equal(found, tf.add_n(parts))


def test_what_is_left_goes_against_no_task_of_two():
    a, b = (references.long(each) for each in conflicting(2, 2).values())
    found = references.long(conflict_projection()(of_gradients({"a": [a], "b": [-0.3 * a + 0.2 * b]}, "float64")))
    assert found @ a >= -1e-12 and found @ (-0.3 * a + 0.2 * b) >= -1e-12
    opposite = conflict_projection()(of_gradients({"a": [a], "b": [-2.0 * a]}, "float64"))
    np.testing.assert_allclose(opposite[0], np.zeros_like(a), atol=1e-12)


@pytest.mark.parametrize("plan", ["eager", "xla"])
@pytest.mark.parametrize("size", [1e-33, 1e33])
def test_extremes(size, plan):
    gradients = conflicting(5, 3, size)
    gradients["b"] = [each / size for each in gradients["b"]]  # of size 1, beside huge or tiny ones
    found = chosen(conflict_projection(), lambda update: of_gradients(gradients, update=update), plan)
    expected = references.pcgrad([references.long(each) for each in gradients.values()],
                                 references.splitmix_order(0, 3, 0))
    np.testing.assert_allclose(references.long(found), expected, rtol=1e-4, atol=1e-5 * max(size, 1.0))


@pytest.mark.parametrize("plan", ["eager", "xla"])
def test_zeros(plan):
    gradients = conflicting(6, 2)
    zeros = [0.0 * each for each in gradients["a"]]
    found = chosen(conflict_projection(), lambda update: of_gradients({"a": gradients["a"], "b": zeros}), plan)
    for each, expected in zip(found, gradients["a"], strict=True):
        np.testing.assert_array_equal(each, expected.astype("float32"))
    found = chosen(conflict_projection(), lambda update: of_gradients({"a": zeros, "b": zeros}), plan)
    assert all(not each.any() for each in found)


@pytest.mark.parametrize("plan", ["eager", "xla"])
def test_what_is_not_finite_stays_so(plan):
    gradients = {"a": [np.array([0.0, np.nan])], "b": [np.array([1.0, -1.0])]}
    (found,) = chosen(conflict_projection(), lambda update: of_gradients(gradients), plan)
    assert not np.isfinite(found[1])


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("tasks, seed", [(2, 0), (3, 1), (5, -7), (4, 2**70)])
def test_orders_are_the_same_everywhere(tasks, seed, plan):
    def function(update):
        return order_of(update, tasks, seed)

    if plan != "eager":
        function = tf.function(function, jit_compile=plan == "xla")
    for update in (0, 1, 2**40):
        assert function(tf.constant(update, tf.int64)).numpy().tolist() == references.splitmix_order(
            update, tasks, seed)


def test_orders_are_uniform_and_independent():
    """Chi-square below its 0.999 quantile: 23 degrees of freedom per row, 15 for pairs of rows of 3 others."""
    updates = 12_000
    orders = np.array([references.splitmix_order(update, 4, 0) for update in range(updates)])
    for row in range(4):
        counts = Counter(map(tuple, orders[:, row]))
        assert set(counts) == set(itertools.permutations(range(4)))
        assert sum((count - updates / 24) ** 2 / (updates / 24) for count in counts.values()) < 49.7
    firsts = Counter(zip(orders[:, 0, 0], orders[:, 1, 0], strict=True))
    assert sum((firsts[pair] - updates / 16) ** 2 / (updates / 16) for pair in itertools.product(range(4), repeat=2)
               ) < 37.7
    afterwards = Counter(zip(orders[:-1, 0, 0], orders[1:, 0, 0], strict=True))
    assert sum((afterwards[pair] - updates / 16) ** 2 / (updates / 16)
               for pair in itertools.product(range(4), repeat=2)) < 37.7


@pytest.mark.parametrize("make, message", [
    (lambda: conflict_projection("a", "a"), r"^`terms` \(\('a', 'a'\)\) must be names of terms, each once$"),
    (lambda: conflict_projection(["a", "b"]), r"^`terms` \(\(\['a', 'b'\],\)\) must be names of terms, each once$"),
    (lambda: conflict_projection(seed=0.5), r"^`seed` \(0.5\) must be an integer$"),
])
def test_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
