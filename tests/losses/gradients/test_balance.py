"""Gradients of one length: by hand, against NumPy, at ``relax`` 0 and for one term, at extremes."""

import numpy as np
import pytest
import tensorflow as tf

from losses.gradients import equal_norms
from tests.losses.gradients import references
from tests.losses.gradients.pulls import PLANS, chosen, of_gradients

SHAPES = ((3, 2), (2,), ())
DRAW = np.random.default_rng(0)
GRADIENTS = {name: [scale * DRAW.normal(size=shape) for shape in SHAPES]
             for name, scale in (("a", 1.0), ("b", 30.0), ("c", 1e-3))}


def test_by_hand():
    # The target is 5 long, the other 2: (0, 2) becomes (0, 5), half way (0, 3.5).
    gradients = {"a": [np.array([3.0, 4.0])], "b": [np.array([0.0, 2.0])]}
    np.testing.assert_allclose(equal_norms()(of_gradients(gradients)), [[3.0, 9.0]], rtol=1e-6)
    np.testing.assert_allclose(equal_norms(relax=0.5)(of_gradients(gradients)), [[3.0, 7.5]], rtol=1e-6)
    # "b" first: (3, 4) is brought from 5 to 2, (1.2, 1.6). A penalty is no task.
    gradients["regularization"] = [np.array([7.0, 0.0])]
    np.testing.assert_allclose(equal_norms("b", "a")(of_gradients(gradients)), [[8.2, 3.6]], rtol=1e-6)
    np.testing.assert_allclose(equal_norms()(of_gradients(gradients)), [[10.0, 9.0]], rtol=1e-6)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("relax", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("dtype, rtol", [("float32", 2e-6), ("float64", 1e-14)])
def test_numpy(dtype, rtol, relax, plan):
    found = chosen(equal_norms("a", "b", "c", relax=relax), lambda update: of_gradients(GRADIENTS, dtype), plan)
    assert [each.shape for each in found] == list(SHAPES) and found[0].dtype == dtype
    expected = references.metabalance(list(GRADIENTS.values()), relax)
    np.testing.assert_allclose(references.long(found), references.long(expected), rtol=rtol, atol=5 * rtol)


def test_relax_0_and_a_single_term_are_the_plain_gradient():
    pull = of_gradients(GRADIENTS)
    np.testing.assert_allclose(references.long(equal_norms(relax=0.0)(pull)), references.long(pull.gradients()[0]),
                               rtol=1e-6, atol=1e-6)
    one = of_gradients({"a": GRADIENTS["a"]}, factors={"a": tf.constant(3.0)})
    for found, plain in zip(equal_norms()(one), one.gradients()[0], strict=True):
        np.testing.assert_array_equal(found, plain)


def test_a_factor_of_another_term_does_not_count_at_equal_norms_but_its_sign():
    ends = [references.long(equal_norms()(of_gradients(GRADIENTS, "float64", factors={"a": 1.0, "b": b, "c": 1.0})))
            for b in (1.0, 50.0, -1.0)]
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-12)
    alone = references.long(equal_norms()(of_gradients({name: GRADIENTS[name] for name in "ac"}, "float64")))
    np.testing.assert_allclose(ends[0] + ends[2], 2.0 * alone, rtol=1e-12)


@pytest.mark.parametrize("plan", ["eager", "xla"])
def test_where_the_target_does_not_reach_the_others_stay(plan):
    gradients = {"a": [np.array([3.0, 4.0]), np.zeros(3)], "b": [np.array([0.0, 2.0]), np.array([1.0, 2.0, 3.0])],
                 "c": [np.zeros(2), np.array([10.0, 0.0, 0.0])]}
    found = chosen(equal_norms(), lambda update: of_gradients(gradients), plan)
    np.testing.assert_allclose(found[0], [3.0, 9.0], rtol=1e-6)
    np.testing.assert_array_equal(found[1], [11.0, 2.0, 3.0])


@pytest.mark.parametrize("plan", ["eager", "xla"])
@pytest.mark.parametrize("target, other", [(1e-30, 1e30), (1e30, 1e-30), (1e30, 1e30), (1e-30, 1e-30)])
def test_extremes(target, other, plan):
    gradients = {"a": [target * each for each in GRADIENTS["a"]], "b": [other * each for each in GRADIENTS["b"]]}
    found = chosen(equal_norms(), lambda update: of_gradients(gradients), plan)
    expected = references.metabalance([[each / target for each in gradients["a"]],
                                       [each / other for each in gradients["b"]]], 1.0)
    np.testing.assert_allclose(references.long(found) / target, references.long(expected), rtol=1e-4, atol=1e-5)
    zeros = {name: [0.0 * each for each in gradients["a"]] for name in "ab"}
    assert all(not each.any() for each in chosen(equal_norms(), lambda update: of_gradients(zeros), plan))


@pytest.mark.parametrize("plan", ["eager", "xla"])
@pytest.mark.parametrize("bad", ["a", "b"])
def test_what_is_not_finite_stays_so(bad, plan):
    gradients = {"a": [np.array([1.0, 2.0])], "b": [np.array([3.0, 4.0])]} | {bad: [np.array([0.0, np.nan])]}
    (found,) = chosen(equal_norms(), lambda update: of_gradients(gradients), plan)
    assert not np.isfinite(found[1])


@pytest.mark.parametrize("make, message", [
    (lambda: equal_norms("a", "a"), r"^`terms` \(\('a', 'a'\)\) must be names of terms, each once$"),
    (lambda: equal_norms(relax=1.5), r"^`relax` \(1.5\) must be from 0 to 1$"),
])
def test_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
