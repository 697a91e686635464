"""Errors in the middle of a run, of memory and of data: one line, and what was before is kept."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, DatasetSource, Event, Every, Invalid, Phase, Trainer
from engine.run import checkpoint
from engine.run.failure import one_line
from tests import toys

TOO_MANY = 10**13  # numbers, for any memory
EAGER = ("{{function_node __wrapped__Fill_device_/job:localhost/replica:0/task:0/device:CPU:0}} OOM when allocating "
         "tensor with shape[20000000000] and type float on /job:localhost/replica:0/task:0/device:CPU:0 by allocator "
         "mklcpu [Op:Fill] name: ")
GRAPH = ("Graph execution error:\n\nDetected at node uniform defined at (most recent call last):\n  File \"raw.py\", "
         "line 3, in f\n\nOOM when allocating tensor with shape[20000000000] and type float on /job:localhost/replica:0"
         "/task:0/device:CPU:0 by allocator mklcpu\n\t [[{{node uniform}}]]\nHint: If you want to see a list of "
         "allocated tensors when OOM happens, add report_tensor_allocations_upon_oom to RunOptions for current "
         "info. This isn't available when running in Eager mode.\n [Op:__inference_f_16]")
XLA = "Out of memory while trying to allocate 149.01GiB. [Op:__inference_<lambda>_33]"


@pytest.mark.parametrize("message, line", [
    (EAGER, "OOM when allocating tensor with shape[20000000000] and type float"),
    (GRAPH, "OOM when allocating tensor with shape[20000000000] and type float"),
    (XLA, "Out of memory while trying to allocate 149.01GiB."), ("", "ResourceExhaustedError")])
def test_what_had_no_room_is_told_without_where(message, line):
    assert one_line(tf.errors.ResourceExhaustedError(None, None, message)) == line


class Growing(toys.Fit):
    """An evaluation of a batch with so "many" needs as many numbers."""

    def phases(self):
        return [Phase("net", self.growing, updates=["net"])]

    def growing(self, nets, batch, noise):
        return {"loss": tf.square(nets["net"](batch["x"])[:, 0])}

    def metrics(self, nets, batch, noise):
        return {"size": tf.abs(nets["net"](batch["x"])[:, 0]) + tf.reduce_sum(tf.fill([batch["many"][0]], 0.0))}


def source(many=1, examples=200, batch_size=8):
    return ArraySource({"x": toys.POINTS[:examples], "many": np.full(examples, many, "int64")}, batch_size)


def made(folder, events=(), data=None, plan="graph"):
    keras.utils.set_random_seed(7)
    return Trainer(Growing(), {"net": toys.net(1)}, toys.adam(), data or source(), plan=plan, say=[].append,
                   run_dir=folder, events=events, cycles_per_call=2)


def bits(trainer):
    return np.concatenate([np.ravel(v.numpy()) for v in trainer.nets["net"].weights])


@pytest.fixture(scope="module")
def whole():
    trainer = made(None)
    trainer.train(cycles=7)
    return bits(trainer)


@pytest.mark.parametrize("error", [tf.errors.ResourceExhaustedError(None, None, GRAPH), MemoryError("OOM when asked")],
                         ids=["TensorFlow", "Python"])
def test_out_of_memory_in_an_update_is_one_line_and_the_run_is_saved(tmp_path, monkeypatch, whole, error):
    trainer = made(tmp_path)
    run, cycles = trainer.engine.run, []

    def fails(count):
        cycles.append(trainer.engine.cycles)
        if cycles.count(6) == 1 and cycles[-1] == 6:
            raise error
        return run(count)

    monkeypatch.setattr(trainer.engine, "run", fails)
    with pytest.raises(Invalid, match=r"^`training` \(after cycle 6, batch_size 8\) must be within the memory: take a "
                                      r"smaller batch_size \(in use were up to [\d,.]+ \w+, of which .* nets and "
                                      r"optimizers, .* gradients, .* data\): OOM when.*; cycle 6 was saved$"):
        trainer.train(cycles=20)
    trainer = made(tmp_path)
    assert trainer.counters.cycles == 6
    trainer.train(cycles=7)
    np.testing.assert_array_equal(bits(trainer), whole)


def out_of_memory(trainer, means):
    trainer.evaluate(source(TOO_MANY, 40, 20))


def no_memory(trainer, means):
    raise MemoryError("Unable to allocate 1 TiB")


def too_few(trainer, means):
    rows = tf.data.Dataset.from_tensor_slices({"x": toys.POINTS[:10], "many": np.ones(10, "int64")})
    trainer.evaluate(DatasetSource(rows, 5, size=20))


def broken(trainer, means):
    def give():
        yield {"x": toys.POINTS[0], "many": np.int64(1)}
        raise RuntimeError("example 1 is broken")

    spec = {"x": tf.TensorSpec([6], tf.float32), "many": tf.TensorSpec([], tf.int64)}
    trainer.evaluate(DatasetSource(tf.data.Dataset.from_generator(give, output_signature=spec), 5, size=20))


@pytest.mark.parametrize("fails, line", [
    (out_of_memory, r"`evaluation` \(40 examples, 20 at a time\) must be within the memory: .*OOM when allocating.*"),
    (no_memory, r"`events` \(after cycle 5\) must be within the memory: .*Unable to allocate 1 TiB"),
    (too_few, r".*20.*10.*"),
    (broken, r"`evaluation` \(20 examples, 5 at a time\) must be free of errors of the data and the loss: .*"
             "example 1 is broken")], ids=["out of memory", "no memory", "too few", "broken"])
def test_what_fails_beside_the_updates_saves_them_and_is_done_later(tmp_path, whole, fails, line):
    seen = []
    events = [Event(Every(cycles=5), fails)]
    with pytest.raises(Invalid, match=f"^{line}; cycle 5 was saved$"):
        made(tmp_path, events).train(cycles=7)
    assert [path.name for path in checkpoint.listed(tmp_path / "checkpoints")] == ["5"]
    trainer = made(tmp_path, [Event(Every(cycles=5), lambda trainer, means: seen.append(trainer.counters.cycles))])
    trainer.train(cycles=7)
    assert seen == [5, 7]
    np.testing.assert_array_equal(bits(trainer), whole)


def test_without_a_folder_it_is_one_line_too():
    with pytest.raises(Invalid, match=r"Unable to allocate 1 TiB; it stands at cycle 5, and has no folder to be saved"):
        made(None, [Event(Every(cycles=5), no_memory)]).train(cycles=7)


def test_data_that_fail_in_the_trial_of_plans_are_told_by_the_training():
    def give():
        yield {"x": toys.POINTS[0], "many": np.int64(1)}
        raise RuntimeError("example 1 is broken")

    spec = {"x": tf.TensorSpec([6], tf.float32), "many": tf.TensorSpec([], tf.int64)}
    data = DatasetSource(tf.data.Dataset.from_generator(give, output_signature=spec), 8, size=40)
    with pytest.raises(Invalid, match=r"`training` \(after cycle 0\) must be free of .*example 1 is broken"):
        made(None, data=data, plan="auto").train(cycles=7)
