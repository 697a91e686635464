"""The outer loop: lengths, events, kills and continuations, signals, the health watch, the clock."""

import functools
import json
import os
import signal
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from engine import ArraySource, BadUpdate, DatasetSource, Event, Every, Interrupted, Invalid, Phase, Trainer, Update
from engine.run import checkpoint, recovery
from engine.run.pace import Pace
from tests import toys

CYCLES = 13


class GAN(toys.TinyGAN):
    """A TinyGAN with metrics and pictures."""

    def metrics(self, nets, batch, noise):
        return {"score": nets["critic"](batch["x"])[:, 0], "fake": nets["critic"](self._fake(nets, noise))[:, 0]}

    def pictures(self, nets, batch, noise):
        return {"fake": tf.reshape(tf.sigmoid(self._fake(nets, noise)), [-1, 2, 3, 1])}

    def _fake(self, nets, noise):
        return nets["generator"](noise.normal("z", [4]))


def gan(run_dir=None, events=(), **options):
    """A trainer with all that has a state: batch normalisation, dropout, a schedule, an average, Adam's slots."""
    keras.utils.set_random_seed(0)
    nets = {"generator": keras.Sequential([keras.layers.Dense(8), keras.layers.BatchNormalization(),
                                           keras.layers.Dense(6)]),
            "critic": keras.Sequential([keras.layers.Dense(8, activation="tanh"), keras.layers.Dropout(0.2),
                                        keras.layers.Dense(1)])}
    rate = keras.optimizers.schedules.ExponentialDecay(1e-2, decay_steps=10, decay_rate=0.5)
    updates = {"critic": toys.adam(rate), "generator": Update(toys.adam(), clip_norm=0.5, average=0.9)}
    return Trainer(GAN(), nets, updates, toys.points(7), run_dir=run_dir, record=False, events=events, **options)


def fit(run_dir=None, events=(), strategy=None, **options):
    """A trainer of one phase and a small net: 25 cycles per epoch."""
    keras.utils.set_random_seed(0)
    return Trainer(strategy or toys.Fit(), {"net": toys.net(1)}, toys.adam(), toys.points(8), run_dir=run_dir,
                   record=False,
                   events=events, **options)


def bits(trainer):
    return toys.bits(trainer.engine, trainer.nets)


class Log:
    """Events' rows: (cycle, means)."""

    def __init__(self):
        self.rows = []

    def __call__(self, trainer, means):
        self.rows.append((trainer.counters.cycles, means))


@pytest.fixture(scope="module")
def whole():
    """The bits and the log, every 4 cycles, of a run of 13 cycles that nothing disturbed."""
    log = Log()
    made = gan(events=[Event(Every(cycles=4), log)], cycles_per_call=CYCLES)
    made.train(cycles=CYCLES)
    return bits(made), log.rows


def same_rows(rows, others):
    assert [cycle for cycle, _ in rows] == [cycle for cycle, _ in others]
    for (_, means), (_, expected) in zip(rows, others, strict=True):
        assert means == {name: pytest.approx(mean, rel=1e-12) for name, mean in expected.items()}


def test_the_log_of_a_run(whole):
    _, rows = whole
    assert [cycle for cycle, _ in rows] == [4, 8, 12, 13]
    assert list(rows[0][1]) == ["critic/objective", "critic/wasserstein", "critic/penalty", "critic/gradient_norm",
                                "generator/objective", "generator/wasserstein", "generator/gradient_norm"]
    for _, means in rows:
        assert means["critic/objective"] == pytest.approx(means["critic/wasserstein"] + 10 * means["critic/penalty"],
                                                          rel=1e-5)


def test_events_and_cycles_per_call_change_no_bit(whole, tmp_path):
    seen, log = [], Log()

    def look(trainer, means):
        seen.append((trainer.counters.cycles, trainer.evaluate(toys.points(64)), trainer.pictures(3)))

    made = gan(tmp_path, [Event(Every(cycles=2), look), Event(Every(epochs=1), lambda trainer, _: trainer.save()),
                          Event(Every(seconds=1e-9), Log()), Event(Every(cycles=4), log)], cycles_per_call=3)
    made.train(cycles=5)
    made.train(cycles=5)  # nothing is left to do
    made.train(epochs=2.3)  # 2.3 epochs are 64.4 batches: 12.88 cycles
    assert made.counters.cycles == CYCLES
    np.testing.assert_array_equal(bits(made), whole[0])
    assert [cycle for cycle, _, _ in seen] == [2, 4, 5, 6, 8, 10, 12, 13]
    assert [checkpoint.cycle_of(path) for path in checkpoint.listed(tmp_path / "checkpoints")] == [6, 12, 13]
    assert [cycle for cycle, _ in log.rows] == [4, 5, 8, 12, 13]
    same_rows(log.rows[3:], whole[1][2:])
    assert made.engine.plan.traces == 1


class Killed(Exception):
    """The end of a process: nothing is saved, nothing is told."""


def kill(trainer, means):
    raise Killed


@pytest.mark.parametrize("order, deadlines", [(1, [5, 7, 12]), (-1, [12])], ids=["log first", "checkpoint first"])
def test_a_killed_run_continues_to_the_same_bits_and_the_same_means(whole, tmp_path, order, deadlines):
    """Checkpoints at 3, 6, 9, 12 lie inside log intervals and, at 12, on their edge."""
    rows, start = [], 0
    for deadline in [*deadlines, None]:
        log = Log()
        events = [Event(Every(cycles=4), log), Event(Every(cycles=3), lambda trainer, _: trainer.save())][::order]
        if deadline:
            events.append(Event(Every(cycles=deadline), kill))
        made = gan(tmp_path, events, cycles_per_call=2)
        assert made.counters.cycles == start
        rows = [row for row in rows if row[0] <= start]  # as the table of a run is rewound
        if deadline:
            start = (deadline - 1) // 3 * 3  # of 12 too: the kill is before all events have acted
            with pytest.raises(Killed):
                made.train(cycles=CYCLES)
        else:
            made.train(cycles=CYCLES)
        rows += log.rows
    np.testing.assert_array_equal(bits(made), whole[0])
    same_rows(rows, whole[1])


def test_a_run_on_a_dataset_continues_where_it_was(tmp_path):
    def make(run_dir=None):
        keras.utils.set_random_seed(0)
        dataset = tf.data.Dataset.from_tensor_slices({"x": toys.POINTS})
        source = DatasetSource(lambda: dataset.shuffle(200, seed=3), 64)  # another order in each of 3-batch epochs
        return Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), source, run_dir=run_dir, record=False)

    never, first = make(), make(tmp_path)
    never.train(cycles=8)
    first.train(cycles=5)
    first.save()
    second = make(tmp_path)
    second.train(cycles=8)
    np.testing.assert_array_equal(bits(second), bits(never))


# Lengths.


@pytest.fixture(scope="module")
def five():
    """A trainer of 5 batches per cycle and 28 per epoch: 5.6 cycles per epoch."""
    return Trainer(toys.Fit(repeats=5), {"net": toys.net(1)}, toys.adam(), toys.points(7))


@pytest.mark.parametrize("length, cycles", [
    ({"epochs": 1}, 6), ({"epochs": 0.5}, 3), ({"epochs": 5}, 28), ({"epochs": 0.01}, 1), ({"epochs": 10.0}, 56),
    ({"epochs": 1 / 28}, 1), ({"epochs": 15 / 28}, 3), ({"cycles": 1}, 1), ({"cycles": 10**12}, 10**12)])
def test_an_epoch_ends_with_a_whole_cycle(five, length, cycles):
    assert five.cycles_of(**length) == cycles


@pytest.mark.parametrize("length, text", [
    ({}, r"`train` \(.*\) must be given exactly one of cycles and epochs"),
    ({"cycles": 5, "epochs": 1}, r"`train` \(.*\) must be given exactly one of"),
    ({"cycles": 0}, r"`cycles` \(0\S*\) must be above 0"),
    ({"epochs": -1.0}, r"`epochs` \(-1.0\) must be above 0"),
    ({"epochs": float("inf")}, r"`epochs` \(inf\) must be above 0"),
    ({"epochs": float("nan")}, r"`epochs` \(nan\) must be above 0"),
])
def test_a_length_is_one_positive_number(five, length, text):
    with pytest.raises(Invalid, match=text):
        five.train(**length)


def test_lengths_are_absolute_and_counters_count(five):
    five.train(epochs=0.5)
    assert (five.counters.cycles, five.counters.batches, five.counters.updates) == (3, 15, {"fit": 15})
    assert five.counters.epoch == 15 / 28
    five.train(cycles=4)
    assert five.counters.cycles == 4
    five.train(cycles=2)
    assert five.counters.cycles == 4
    five.train(epochs=1)
    assert (five.counters.cycles, five.counters.batches) == (6, 30)


# The health watch.


class Poisoned(toys.Fit):
    """NaN when example 77 is in the batch, for as long as ``switch`` says."""

    switch = 1.0

    def loss(self, nets, batch, noise):
        hit = tf.cast(tf.reduce_any(batch["index"] == 77), tf.float32) * self.switch
        return {name: term + tf.where(hit > 0, np.nan, 0.0) for name, term in super().loss(nets, batch, noise).items()}


def first_hit(source):
    numbers = range(source.batches_per_epoch)
    return next(k for k in numbers if 77 in source.batch(tf.constant(k, tf.int64), ())["index"].numpy())


def test_a_bad_update_stops_with_a_checkpoint_of_the_last_good_state(tmp_path):
    hit = first_hit(toys.points(8))
    assert hit % 4  # in the middle of a call
    log = Log()
    made = fit(tmp_path, [Event(Every(cycles=50), log)], Poisoned(), cycles_per_call=4)
    with pytest.raises(BadUpdate, match=f"stopped by the health watch at cycle {hit}, phase fit, update {hit}: "
                                        "fit/squared_error is nan, .*; nothing of that update was applied") as raised:
        made.train(cycles=50)
    assert (raised.value.fault.cycle, raised.value.in_a_row) == (hit, 1)
    assert made.counters.cycles == hit and log.rows == []
    for message in ("the same process", "a new one"):  # going on meets the same update again, and ends again
        assert [checkpoint.cycle_of(path) for path in checkpoint.listed(tmp_path / "checkpoints")] == [hit], message
        with pytest.raises(BadUpdate, match=f"at cycle {hit}, phase fit, update {hit}: "):
            made.train(cycles=50)
        made = fit(tmp_path, [Event(Every(cycles=50), log)], Poisoned(), cycles_per_call=4)
        assert made.counters.cycles == hit
    healthy = Poisoned()
    healthy.switch = 0.0
    mended, good = fit(tmp_path, strategy=healthy, resume="always"), fit(strategy=healthy)
    good.train(cycles=hit)
    np.testing.assert_array_equal(bits(mended), bits(good))
    mended.train(cycles=hit + 3)
    good.train(cycles=hit + 3)
    np.testing.assert_array_equal(bits(mended), bits(good))


def test_skipped_updates_are_counted_told_and_kept(tmp_path):
    hit, said, log = first_hit(toys.points(8)), [], Log()
    made = fit(tmp_path, [Event(Every(cycles=50), log)], Poisoned(), cycles_per_call=50, on_bad_update="skip",
               plan="graph", say=said.append)
    made.train(cycles=25)  # an epoch meets each example at most once, and this one has 25 batches of 25
    assert made.rejected == made.summary()["rejected"] == {"fit": 1}
    assert len(said) == 1 and said[0].startswith(f"skipped 1 update(s), the last at cycle {hit}, phase fit, ")
    assert np.isfinite(list(log.rows[0][1].values())).all()
    made.save()
    again = fit(tmp_path, (), Poisoned(), on_bad_update="skip", plan="graph", say=said.append)
    assert again.rejected == {"fit": 1}
    again.train(cycles=50)
    assert again.rejected == {"fit": 2} and again.counters.updates == {"fit": 50}


# Signals.


def send(*signums):
    def what(trainer, means):
        for signum in signums:
            os.kill(os.getpid(), signum)
    return what


def handlers():
    return [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP,
                                    signal.SIGQUIT])
def test_a_signal_ends_training_after_a_checkpoint(tmp_path, signum, request):
    if signum == signal.SIGHUP:  # the tests themselves may run under nohup
        request.addfinalizer(functools.partial(signal.signal, signum, signal.signal(signum, signal.SIG_DFL)))
    before, log = handlers(), Log()
    made = fit(tmp_path, [Event(Every(cycles=3), send(signum), at_end=False), Event(Every(cycles=3), log)],
               cycles_per_call=2)
    with pytest.raises(Interrupted, match=signum.name) as raised:
        made.train(cycles=9)
    assert raised.value.signum == signum
    assert [cycle for cycle, _ in log.rows] == [3]  # the other events had their turn
    assert [path.name for path in checkpoint.listed(tmp_path / "checkpoints")] == ["3"]
    assert handlers() == before
    continued, never = fit(tmp_path), fit()
    assert continued.continued and continued.counters.cycles == 3
    for trainer in (continued, never):
        trainer.train(cycles=9)
    np.testing.assert_array_equal(bits(continued), bits(never))


def test_a_hang_up_that_is_ignored_stays_ignored(request):
    request.addfinalizer(functools.partial(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, signal.SIG_IGN)))
    made = fit(events=[Event(Every(cycles=2), send(signal.SIGHUP))])
    made.train(cycles=4)
    assert made.counters.cycles == 4


def test_a_second_signal_leaves_at_once(tmp_path):
    before = handlers()
    made = fit(tmp_path, [Event(Every(cycles=2), send(signal.SIGTERM, signal.SIGINT))])
    with pytest.raises(KeyboardInterrupt):
        made.train(cycles=9)
    assert checkpoint.listed(tmp_path / "checkpoints") == []
    assert handlers() == before


def test_a_signal_while_the_last_checkpoint_is_being_written_does_not_lose_it(tmp_path, monkeypatch):
    save, began = checkpoint.save, threading.Event()

    def slowly(*args):
        if not began.is_set():
            began.set()
            time.sleep(0.3)  # training is over now, and only waits for this
            os.kill(os.getpid(), signal.SIGTERM)
        return save(*args)

    monkeypatch.setattr(checkpoint, "save", slowly)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # and if it were served by nobody ...
    try:
        made = fit(tmp_path, [Event(Every(cycles=4), lambda trainer, _: trainer.save(wait=False))])
        with pytest.raises(Interrupted):
            made.train(cycles=4)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert fit(tmp_path).counters.cycles == 4


def test_a_signal_without_a_run_folder_ends_training_too():
    made = fit(events=[Event(Every(cycles=2), send(signal.SIGTERM))])
    with pytest.raises(Interrupted):
        made.train(cycles=9)
    assert made.counters.cycles == 2 and made.save() is None


# The clock.


class Clock:
    """Stands still until a test moves it."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def tick(self, trainer, means):
        self.now += 3.0


def test_seconds_are_of_training_over_all_sessions(tmp_path):
    clock, log = Clock(), Log()

    def make():
        return fit(tmp_path, [Event(Every(cycles=1), clock.tick), Event(Every(seconds=7), log, at_end=False)],
                   cycles_per_call=1, clock=clock)

    made = make()
    made.train(cycles=10)
    # After cycle k come 3(k - 1) seconds: at least 7 since the last time after 4 (9), 7 (18) and 10 (27).
    assert [cycle for cycle, _ in log.rows] == [4, 7, 10]
    assert made.seconds == 27.0
    made.save()
    clock.now += 1e6  # the time between two sessions counts for nothing
    again = make()
    assert again.seconds == 27.0
    again.train(cycles=14)
    assert [cycle for cycle, _ in log.rows] == [4, 7, 10, 14] and again.seconds == 36.0


def test_the_summary_tells_what_a_run_was():
    clock = Clock()

    def rising():
        clock.now += 0.25
        return clock.now

    made = fit(cycles_per_call=2, clock=rising, plan="graph")
    made.train(cycles=10)
    summary = json.loads(json.dumps(made.summary()))
    assert {name: summary[name] for name in ("cycles", "epochs", "batches", "updates", "rejected", "plan")} == {
        "cycles": 10, "epochs": 0.4, "batches": 10, "updates": {"fit": 10}, "rejected": {"fit": 0}, "plan": "graph"}
    assert summary["cycles_per_second"] == 2 / 0.25
    assert summary["seconds"] == made.seconds == 5 * 3 * 0.25
    parts = summary["process_seconds"]
    assert parts.pop("start") > 1.0  # TensorFlow was imported
    assert parts == {"compile": 0.0, "compute": 5 * 0.25, "input": 0.0, "events": 5 * 2 * 0.25}
    assert summary["versions"]["tensorflow"] == tf.__version__
    assert 50e6 < summary["peak_memory_bytes"] < 1e12


def test_calls_grow_to_half_a_second_of_cycles():
    pace, found = Pace(), []
    for _ in range(8):
        found.append(pace.cycles)
        pace.ran(pace.cycles, 2.0 if len(found) == 1 else pace.cycles / 200)  # the first call compiles
    assert found == [1, 1, 4, 16, 64, 100, 100, 100]
    pace.ran(100, 10.0)
    assert pace.cycles == 5
    assert (pace.first_call, Pace().cycles_per_second) == (2.0, 0.0)


# Pictures.


def test_pictures_show_the_same_latents_at_every_cycle():
    class Latents(toys.Fit):
        def pictures(self, nets, batch, noise):
            return {"z": noise.uniform("z", [2, 2, 1]), "first": batch["x"][:, :, None, None],
                    "net": nets["net"](batch["x"])}

    made = fit(strategy=Latents())
    before = made.pictures(5)
    made.train(cycles=2)
    after = made.pictures(5)
    assert before["z"].shape == (5, 2, 2, 1) and len(np.unique(before["z"])) == 20
    np.testing.assert_array_equal(after["z"], before["z"])
    np.testing.assert_array_equal(after["first"][..., 0, 0], toys.POINTS[:5])
    np.testing.assert_allclose(after["net"], made.nets["net"](toys.POINTS[:5]), rtol=1e-5)
    assert (after["net"] != before["net"]).all()
    assert (Trainer(Latents(), {"net": toys.net(1)}, toys.adam(), toys.points(), seed=1).pictures(5)["z"]
            != before["z"]).all()
    np.testing.assert_array_equal(made.pictures(13, toys.points(4))["first"][..., 0, 0], toys.POINTS[:13])
    assert len(made.pictures(999)["z"]) == 200


def test_a_signal_that_is_overdue_ends_the_process_even_if_nothing_can_be_saved(tmp_path, monkeypatch):
    """Otherwise the main thread would wait for ever for the lock that the watch holds."""
    made, left = fit(tmp_path), []

    def leave(signum, what):
        left.append((signum, what))
        raise SystemExit

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.run.signals.leave", leave)
    monkeypatch.setattr(made._checkpoints, "save", full)
    with pytest.raises(SystemExit):
        made._session.overdue(signal.SIGTERM)
    assert left == [(signal.SIGTERM, "no checkpoint could be saved ([Errno 28] No space left on device), the last one "
                     "stands")]


def test_a_run_without_a_folder_does_not_say_that_it_saved():
    made = fit(events=[Event(Every(cycles=2), send(signal.SIGTERM))])
    with pytest.raises(Interrupted, match="the run has no folder, nothing was saved"):
        made.train(cycles=9)


def test_training_on_in_one_process_copies_the_state_no_second_time(tmp_path, monkeypatch):
    trainer = Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), toys.points(), plan="graph",
                      run_dir=tmp_path / "run", record=False)
    copies = []
    copied = trainer._checkpoints.copied
    monkeypatch.setattr(trainer._checkpoints, "copied", lambda: copies.append(1) or copied())
    trainer.train(cycles=1)
    assert len(copies) == 1  # for a signal while the first call is compiled
    trainer.train(cycles=2)
    assert len(copies) == 1


@pytest.mark.parametrize("examples, line", [(37, "must be free of errors .*37"), (43, "must be free of errors .*40")])
def test_a_wrong_size_ends_the_training_in_one_line(examples, line):
    def give():
        for i in range(examples):
            yield {"x": toys.POINTS[i], "index": np.int32(i)}

    spec = {"x": tf.TensorSpec([6], tf.float32), "index": tf.TensorSpec([], tf.int32)}
    data = DatasetSource(tf.data.Dataset.from_generator(give, output_signature=spec), 8, size=40)
    trainer = Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), data, plan="graph", say=[].append)
    with pytest.raises(Invalid, match=rf"`training` \(after cycle \d\) {line}") as error:
        trainer.train(cycles=12)
    assert "\n" not in str(error.value)


def made_alone(give, **options):
    """On what ``give`` yields, without a folder unless it is among the options."""
    keras.utils.set_random_seed(0)
    spec = {"x": tf.TensorSpec([6], tf.float32), "index": tf.TensorSpec([], tf.int32)}
    data = DatasetSource(tf.data.Dataset.from_generator(give, output_signature=spec), 8, size=40)
    return Trainer(toys.Fit(), {"net": toys.net(1)}, toys.adam(), data, plan="graph", say=[].append, **options)


def test_without_a_folder_a_trainer_whose_data_failed_stands_where_it_was():
    def give():
        yield {"x": toys.POINTS[0], "index": np.int32(0)}
        raise RuntimeError("broken")

    trainer = made_alone(give)
    for _ in range(2):
        with pytest.raises(Invalid, match="broken; it stands at cycle 0, and has no folder to be saved in"):
            trainer.train(cycles=2)


class Asserts(toys.Fit):
    def phases(self):
        return [Phase("net", self.asserted, updates=["net"])]

    def asserted(self, nets, batch, noise):
        with tf.control_dependencies([tf.debugging.assert_less(noise.update, tf.constant(self.until, tf.int64))]):
            return {"loss": tf.reduce_sum(tf.square(nets["net"](batch["x"])), axis=1)}


@pytest.mark.parametrize("folder", [True, False])
def test_an_error_of_the_loss_over_arrays_is_gone_back_from_by_the_checkpoint(tmp_path, folder):
    def made(until, **options):
        keras.utils.set_random_seed(7)
        strategy = Asserts()
        strategy.until = until
        source = ArraySource({"x": toys.POINTS}, 8)
        return Trainer(strategy, {"net": toys.net(1)}, toys.adam(), source, plan="graph", say=[].append,
                       resume="always", **options)

    options = {"run_dir": tmp_path} if folder else {}
    trainer = made(7, cycles_per_call=2, **options)
    with pytest.raises(Invalid, match="; cycle 6 was saved$" if folder else "nothing is saved: there is no checkpoint"):
        trainer.train(cycles=20)
    if not folder:
        with pytest.raises(Invalid, match=r"`Trainer` \(after cycle 6\) must be made anew: an update failed half-way"):
            trainer.train(cycles=20)
        return
    trainer, whole = made(100, **options), made(100)
    assert trainer.counters.cycles == 6
    for each in (trainer, whole):
        each.train(cycles=9)
    np.testing.assert_array_equal(bits(trainer), bits(whole))


# The example is broken from then on: what was read of it before cannot be read again. The call that fails begins at a
# checkpoint (5), whose reader has gone on, or after updates that are in none (1, 3).
@pytest.mark.parametrize("every", [5, 100])  # a checkpoint; 100: none but of the beginning
@pytest.mark.parametrize("call, other", [(1, False), (3, True), (5, False), (5, True)])
def test_an_error_of_the_data_in_mid_training_is_one_line_and_what_was_before_is_saved(tmp_path, call, every, other):
    bad = {"at": 100}

    def give():
        for i in range(40):
            if i == bad["at"]:
                raise RuntimeError(f"example {i} is broken")
            yield {"x": toys.POINTS[i], "index": np.int32(i)}

    def made():
        return made_alone(give, run_dir=tmp_path, record=False, cycles_per_call=call, events=[
            Event(Every(cycles=every), lambda trainer, _: trainer.save(), at_end=False)])

    trainer = made()
    trainer.train(cycles=6)
    bad["at"] = 36  # in the fifth batch, which cycles 5, 10, ... read
    with pytest.raises(Invalid, match=r"`training` \(after cycle \d+\) must be free of errors of the data and the loss"
                                      r": .*example 36 is broken; cycle \d+ was saved$") as told:
        trainer.train(cycles=20)
    cycle = trainer.counters.cycles
    assert str(told.value).endswith(f"cycle {cycle} was saved")
    assert (5 if every == 5 else 0) <= cycle < 10
    bad["at"] = 100
    if other:
        trainer = made()
        assert trainer.counters.cycles == cycle
    trainer.train(cycles=12)  # with the batches that it would have read
    whole = made_alone(give)
    whole.train(cycles=12)
    np.testing.assert_array_equal(bits(trainer), bits(whole))


def test_what_is_set_between_two_trainings_is_not_undone_by_going_back(tmp_path):
    bad = {"at": 100}

    def give():
        for i in range(40):
            if i == bad["at"]:
                raise RuntimeError(f"example {i} is broken")
            yield {"x": toys.POINTS[i], "index": np.int32(i)}

    def trained(until, **options):
        trainer = made_alone(give, cycles_per_call=1, **options)
        trainer.train(cycles=3)
        net = trainer.nets["net"]
        net.set_weights([weight + 1.0 for weight in net.get_weights()])
        until(trainer)
        return trainer

    def fails(trainer):
        bad["at"] = 36
        with pytest.raises(Invalid, match="example 36 is broken; it stands at cycle"):
            trainer.train(cycles=20)
        bad["at"] = 100

    failed = trained(fails)
    cycle = failed.counters.cycles
    assert cycle >= 3
    np.testing.assert_array_equal(bits(failed), bits(trained(lambda trainer: trainer.train(cycles=cycle))))


@pytest.mark.parametrize("saved", [True, False])
def test_nor_by_going_back_to_a_checkpoint_of_before(tmp_path, saved):
    keras.utils.set_random_seed(7)
    strategy = Asserts()
    strategy.until = 7
    trainer = Trainer(strategy, {"net": toys.net(1)}, toys.adam(), ArraySource({"x": toys.POINTS}, 8), plan="graph",
                      say=[].append, run_dir=tmp_path, record=False, cycles_per_call=2)
    trainer.train(cycles=3)
    if saved:
        trainer.save()
    before, net = bits(trainer), trainer.nets["net"]
    net.set_weights([weight + 1.0 for weight in net.get_weights()])
    with pytest.raises(Invalid, match="of the checkpoints that of cycle 3 stands$" if saved else
                       "nothing is saved: there is no checkpoint$"):
        trainer.train(cycles=20)
    if saved:  # what was set is lost, and what follows from it; nothing is a mixture
        np.testing.assert_array_equal(bits(trainer), before)


def test_a_copy_of_before_a_rollback_is_not_gone_back_to(tmp_path, monkeypatch):
    monkeypatch.setattr(recovery, "FRACTION", 1e-12)  # one copy, at the beginning
    given = {"number": 0}

    def give():
        for i in range(40):
            given["number"] += 1
            if given["number"] > 100:
                raise RuntimeError("broken")
            yield {"x": toys.POINTS[i] * (np.nan if given["number"] == 20 else 1.0), "index": np.int32(i)}

    trainer = made_alone(give, run_dir=tmp_path, record=False, on_bad_update="rollback", cycles_per_call=1)
    with pytest.raises(Invalid, match="broken"):
        trainer.train(cycles=100)
    assert trainer.engine.rollbacks == 1
