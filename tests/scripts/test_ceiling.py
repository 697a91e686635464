"""The machine's ceilings, and the multiply-adds of an update that are set against them."""

import numpy as np
import pytest
import tensorflow as tf
from benchmarks import ceiling, multiply_adds

import nets
from engine import ArraySource, StepEngine, Update, prepare
from engine.data.augment import scale
from losses.strategies import VAE, WGANGP


def counted(function, *shapes):
    """The multiply-adds of ``function`` traced on float32 tensors."""
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    return multiply_adds.graph_multiply_adds(tf.function(function).get_concrete_function(*specs).graph)


def test_the_fastest_run_counts_and_the_first_does_not():
    now, times = [0.0], iter([9.0, 0.5, 0.2, 0.4, 0.3])

    def run():
        now[0] += next(times)

    assert ceiling.fastest(run, 1.2, lambda: now[0]) == pytest.approx(0.2)
    assert list(times) == []  # 0.5 + 0.2 + 0.4 are below 1.2


def test_a_fraction_counts_a_multiply_add_as_two_operations():
    assert ceiling.fraction(1_000_000, 500.0, 2.0) == pytest.approx(0.5)


def test_sizes_after_a_slow_one_are_left_out(monkeypatch):
    monkeypatch.setattr(ceiling, "fastest", lambda run, seconds: 2.0)
    found = ceiling.measure("matmul", "float32", "graph", [10, 20], 1.0)
    assert found == [{"plan": "graph", "size": 10, "gflops": pytest.approx(1e-6)}]


def test_every_kind_and_type_is_measured_and_the_best_is_marked():
    found = ceiling.measured({"seconds": 0.001, "sizes": [8, 16], "batches": [1], "threads": None})
    for kind, sizes in (("matmul", 4), ("convolution", 2)):
        for dtype in ceiling.TYPES:
            best = found[kind][dtype]
            assert best["gflops"] == max(each["gflops"] for each in best["all"]) > 0
            assert sizes // 2 <= len(best["all"]) <= sizes
    lines = ceiling.table(found).splitlines()
    assert sum(line.endswith("best") for line in lines) == 4
    assert lines[0].split() == ["kind", "type", "plan", "size", "GFLOP/s"]


def test_a_product_and_its_gradients():
    def step(x, w):
        with tf.GradientTape() as tape:
            tape.watch(w)
            loss = tf.reduce_sum(tf.square(tf.matmul(x, w)))
        return tape.gradient(loss, w)

    assert counted(step, [5, 3], [3, 2]) == 2 * 5 * 3 * 2  # forward, and by w; nobody asks for the one by x


def test_a_convolution_and_its_gradients():
    shapes = [2, 8, 8, 3], [3, 3, 3, 4]
    forward = 2 * 8 * 8 * 4 * 9 * 3

    def gradients(of):
        def step(x, kernel):
            with tf.GradientTape(persistent=True) as tape:
                tape.watch([x, kernel])
                loss = tf.reduce_sum(tf.square(tf.nn.conv2d(x, kernel, 1, "SAME")))
            return [tape.gradient(loss, each) for each in ((x, kernel)[i] for i in of)]
        return step

    assert counted(gradients([1]), *shapes) == 2 * forward  # the one by x is traced, too, and pruned
    assert counted(gradients([0, 1]), *shapes) == 3 * forward


def test_loops_count_by_their_length_branches_by_the_dearest_and_calls_by_what_is_used():
    def loop(x):
        return tf.while_loop(lambda i, y: i < 7, lambda i, y: (i + 1, tf.matmul(y, x)), [0, x], maximum_iterations=7)[1]

    def branch(x):
        return tf.cond(tf.reduce_sum(x) > 0, lambda: x @ x @ x, lambda: x @ x)

    both = tf.function(lambda x: (x @ x, x @ x @ x))
    assert counted(loop, [4, 4]) == 7 * 64
    assert counted(branch, [4, 4]) == 2 * 64
    assert counted(lambda x: both(x)[0], [4, 4]) == 64
    assert counted(lambda x: both(x), [4, 4]) == 3 * 64


def test_an_update_of_a_vae_is_forward_and_backward_in_batches():
    prepare(0)
    net = nets.DenseVAE(5, hidden=16, image_shape=(4, 4, 1))
    net(tf.zeros([1, 4, 4, 1]))
    adam = tf.keras.optimizers.Adam()
    adam.build(net.trainable_variables)
    source = ArraySource({"image": np.zeros([32, 4, 4, 1], np.uint8)}, 8, transform=scale)
    phase, = VAE().phases()
    engine = StepEngine([phase], {"vae": net}, {"elbo": Update(adam)}, source)
    first, others = 16 * 16, 16 * 10 + 5 * 16 + 16 * 16  # nobody asks for the gradient by the images
    assert multiply_adds.update_multiply_adds(engine) == {"elbo": 8 * (2 * first + 3 * others)}


def test_a_cycle_of_a_wgan_gp_counts_each_phase_by_its_repeats():
    prepare(0)
    made = {"generator": nets.Generator28(6), "critic": nets.Critic28()}
    made["critic"](made["generator"](tf.zeros([1, 6])))
    strategy, updates = WGANGP(6, 10.0), {}
    for phase in strategy.phases():
        adam = tf.keras.optimizers.Adam()
        adam.build(made[phase.updates[0]].trainable_variables)
        updates[phase.name] = Update(adam)
    source = ArraySource({"image": np.zeros([32, 28, 28, 1], np.uint8)}, 4, transform=scale)
    engine = StepEngine(strategy.phases(), made, updates, source)
    counts = multiply_adds.update_multiply_adds(engine)
    assert multiply_adds.cycle_multiply_adds(engine) == 5 * counts["critic"] + counts["generator"]
    forward = {name: multiply_adds.graph_multiply_adds(tf.function(lambda x, n=net: n(x, training=True)).
                                                       get_concrete_function(tf.TensorSpec([4, *shape])).graph)
               for (name, net), shape in zip(made.items(), ([6], [28, 28, 1]), strict=True)}
    # The critic sees real, fake and mixed pictures; the penalty's gradient is differentiated once more.
    assert counts["critic"] > forward["generator"] + 9 * forward["critic"]
    assert 2 * sum(forward.values()) < counts["generator"] < 3 * sum(forward.values())


def test_a_recurrent_layer_counts_by_the_length_of_its_sequences():
    prepare(0)
    net = nets.LSTMClassifier(vocabulary=30, embedding=5, units=[3, 4], dropout=0.0)
    net(tf.zeros([2, 7], tf.int32))

    def step(tokens):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(net(tokens, training=True))
        return loss, tape.gradient(loss, net.trainable_variables)

    forward = 2 * 7 * (5 * 12 + 3 * 12 + 3 * 16 + 4 * 16) + 2 * 4  # four gates; at the end a logit
    graph = tf.function(step).get_concrete_function(tf.TensorSpec([2, 7], tf.int32)).graph
    biases = 2 * 7 * (12 + 16)  # whose gradients are summed by a product
    assert multiply_adds.graph_multiply_adds(graph) == 3 * forward + biases
