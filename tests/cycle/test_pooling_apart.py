"""A phase with max pooling is computed in a graph of its own, as tests/faults/test_pooling.py shows that it must be."""

import keras
import numpy as np
import pytest

from engine import ArraySource, StepEngine, Update
from losses.strategies import Supervised


def parts_apart(pool, plan):
    """How many functions of the loop's graph are never put into it."""
    net = keras.Sequential([keras.layers.Conv2D(2, 3), *pool, keras.layers.Flatten(), keras.layers.Dense(3)])
    data = ArraySource({"image": np.zeros((8, 8, 8, 1), np.float32), "label": np.zeros(8, np.int32)}, 4)
    engine = StepEngine(Supervised().phases(), {"classifier": net}, {"classifier": Update(keras.optimizers.SGD(0.1))},
                        data, plan=plan)
    engine.run(1)
    library = engine.plan.graph.as_graph_def().library.function
    return sum(function.attr["_noinline"].b for function in library)


@pytest.mark.parametrize("plan", ["graph", "halves"])
def test_only_with_pooling(plan):
    without, pooled = parts_apart([], plan), parts_apart([keras.layers.MaxPooling2D(3, strides=2)], plan)
    assert pooled == without + 1
