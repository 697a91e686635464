"""What the guards let through, what they cast, and that the public names are complete."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

import losses
from losses import adversarial, classification, divergence, guard, likelihood, mixing, penalty, regression


def test_the_last_tensor_decides_the_dtype():
    data, output = np.zeros(3), tf.zeros([3])  # float64 data beside a float32 net
    assert [tensor.dtype for tensor in guard.floats(data=data, output=output)] == [tf.float32] * 2
    assert [tensor.dtype for tensor in guard.floats(output=output, data=data)] == [tf.float64] * 2


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32])
def test_half_precision_is_cast_up(dtype):
    (tensor,) = guard.floats(x=tf.zeros([3], dtype))
    assert tensor.dtype == tf.float32


@pytest.mark.parametrize("dtype", [tf.uint8, tf.int32, tf.bool])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match=rf"^`x` \(dtype {dtype.name}\) must be floating point$"):
        guard.floats(x=tf.zeros([3], dtype))


def test_every_axis_is_compared():
    shapes = {"a": tf.zeros([4, 3]), "b": tf.zeros([4, 3]), "c": tf.zeros([4, 1])}
    with pytest.raises(ValueError, match=r"^`c` \(shape \(4, 1\)\) must be of the shape of `a`, \(4, 3\)$"):
        guard.same_shape(**shapes)
    guard.same_shape(a=shapes["a"], b=shapes["b"])


@pytest.mark.parametrize("known, expected", [([4, 3, 2], [4, 6]), ([None, 3, 2], [None, 6]), ([4], [4, 1]),
                                             ([4, None, 2], [4, None]), ([None, None], [None, None])])
def test_rows_keep_what_is_known_of_a_shape(known, expected):
    @tf.function(input_signature=[tf.TensorSpec(known)])
    def flat(tensor):
        (rows,) = guard.rows(tensor=tensor)
        assert rows.shape.as_list() == expected
        return rows

    shape = {1: [4], 2: [4, 6], 3: [4, 3, 2]}[len(known)]
    numbers = np.arange(np.prod(shape), dtype="float32")
    np.testing.assert_array_equal(flat(numbers.reshape(shape)), numbers.reshape(4, -1))

def test_public_names_are_all_of_the_maths_and_nothing_else():
    modules = (adversarial, classification, divergence, likelihood, mixing, penalty, regression)
    defined = {
        name
        for module in modules
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
    assert sorted(defined) == losses.__all__


@pytest.mark.parametrize("name", losses.__all__)
def test_docstrings_have_the_house_order(name):
    text = inspect.getdoc(getattr(losses, name))
    places = [text.find(part) for part in ("Formula:", "Args:", "Returns:", "Raises:", "Source:")]
    assert -1 not in places and places == sorted(places), f"{name}: {places}"
