"""When an event is due, and what it is told."""

import math
from fractions import Fraction

import keras
import pytest

from engine import Event, Every, Invalid, Stop, Trainer
from engine.cycle.report import Report
from engine.run.events import Means
from tests import toys


def fired(when, cycles_per_epoch, until, first=0):
    """The cycles up to ``until`` at which ``when`` is due, if training starts at ``first``."""
    found, due = [], when.next_cycle(first, cycles_per_epoch)
    while due <= until:
        found.append(due)
        due = when.next_cycle(due, cycles_per_epoch)
    return found


def test_cycles_are_counted_from_the_start_of_the_run():
    assert fired(Every(cycles=3), 5.6, 12) == [3, 6, 9, 12]
    assert fired(Every(cycles=3), 5.6, 12, first=7) == [9, 12]  # continued in between: the same beat
    assert fired(Every(cycles=1), 5.6, 3) == [1, 2, 3]


def test_an_epoch_ends_with_the_first_cycle_that_reaches_it():
    assert fired(Every(epochs=1), 5.6, 28) == [6, 12, 17, 23, 28]  # 5.6, 11.2, 16.8, 22.4, 28.0
    assert fired(Every(epochs=1), 5.6, 28, first=13) == [17, 23, 28]
    assert fired(Every(epochs=0.5), 5.6, 12) == [3, 6, 9, 12]  # 2.8, 5.6, 8.4, 11.2
    assert fired(Every(epochs=2), 2.5, 15) == [5, 10, 15]
    assert fired(Every(epochs=1), 0.4, 4) == [1, 2, 3, 4]  # more than one epoch in a cycle


@pytest.mark.parametrize("batches, per_cycle", [(28, 5), (25, 6), (7, 3), (1, 5), (46, 1), (234, 6), (10, 10)])
@pytest.mark.parametrize("epochs", [Fraction(1, 4), Fraction(1), Fraction(3)])
def test_the_beat_is_exact_for_any_length_of_epoch(batches, per_cycle, epochs):
    exact = epochs * Fraction(batches, per_cycle)
    until = 3000
    beats = sorted({math.ceil(exact * beat) for beat in range(1, int(until / exact) + 1)})
    assert fired(Every(epochs=float(epochs)), batches / per_cycle, until) == [b for b in beats if b <= until]


def test_seconds_are_counted_from_the_last_time():
    event = Event(Every(seconds=10), print)
    event.start(0, 5.6, seconds=4.0)
    assert event.due_cycle == math.inf
    assert [event.due(1, seconds) for seconds in (4.0, 13.9, 14.0, 30.0)] == [False, False, True, True]
    event.start(1, 5.6, seconds=31.0)
    assert [event.due(2, seconds) for seconds in (34.0, 40.9, 41.0)] == [False, False, True]


def test_cycles_and_epochs_do_not_read_the_clock():
    event = Event(Every(cycles=4), print)
    event.start(0, 5.6, seconds=0.0)
    assert [event.due(cycles, 1e9) for cycles in (3, 4, 5)] == [False, True, True]


@pytest.mark.parametrize("options, text", [
    ({}, r"`Every` \({}\) must be given exactly one of cycles, epochs, seconds"),
    ({"cycles": 5, "seconds": 1.0}, r"`Every` \({'cycles': 5, 'seconds': 1.0}\) must be given exactly one of"),
    ({"cycles": 0}, r"`Every cycles` \(0\) must be above 0"),
    ({"cycles": 2.5}, r"`Every cycles` \(2.5\) must be an integer"),
    ({"epochs": -1}, r"`Every epochs` \(-1\) must be above 0"),
    ({"seconds": math.nan}, r"`Every seconds` \(nan\) must be above 0"),
])
def test_every_wants_one_positive_amount(options, text):
    with pytest.raises(Invalid, match=text):
        Every(**options)


def test_means_are_sums_over_counts_of_all_calls():
    means = Means()
    for total, count in ((6.0, 2), (1.0, 8)):
        means.add(Report({"fit": {"error": (total, count), "never": (0.0, 0)}}, {}, None, False))
    assert means.means()["fit/error"] == 0.7
    assert math.isnan(means.means()["fit/never"])
    means.clear()
    means.add(Report({"fit": {"error": (3.0, 1)}}, {}, None, False))
    assert means.means() == {"fit/error": 3.0}


def test_each_event_gets_the_means_since_its_own_last_time():
    rows = {"often": [], "seldom": [], "first": []}

    def note(name):
        return lambda trainer, means: rows[name].append((trainer.counters.cycles, means))

    events = [Event(Every(cycles=2), note("often")), Event(Every(cycles=5), note("seldom")),
              Event(Every(epochs=0.5), note("first"), at_end=False)]
    trainer = Trainer(toys.Fit(repeats=5), {"net": toys.net(1)}, keras.optimizers.SGD(0.01), toys.points(7),
                      events=events, cycles_per_call=3)
    alone = Trainer(toys.Fit(repeats=5), {"net": toys.net(1)}, keras.optimizers.SGD(0.01), toys.points(7))
    alone.nets["net"].set_weights(trainer.nets["net"].get_weights())
    trainer.train(cycles=11)
    errors = []
    for _ in range(11):
        total, count = alone.engine.run(1).totals["fit"]["squared_error"]
        errors.append(total / count)

    def expected(ends):
        starts = [0, *ends[:-1]]
        return [(end, sum(errors[start:end]) / (end - start)) for start, end in zip(starts, ends, strict=True)]

    for name, ends in (("often", [2, 4, 6, 8, 10, 11]), ("seldom", [5, 10, 11]), ("first", [3, 6, 9])):
        found = [(cycle, means["fit/squared_error"]) for cycle, means in rows[name]]
        assert found == [(cycle, pytest.approx(mean, rel=1e-9)) for cycle, mean in expected(ends)]


def test_an_event_does_not_miss_what_another_one_saves(tmp_path):
    """Whatever the order of the events: what one saves is the state in which all of them have had their turn."""
    for order in (1, -1):
        rows, folder = [], tmp_path / str(order)

        def log(trainer, means, rows=rows):
            rows.append((trainer.counters.cycles, means["fit/squared_error"]))

        def make(folder=folder, order=order, log=log):
            keras.utils.set_random_seed(0)
            events = [Event(Every(cycles=3), lambda trainer, means: trainer.save()), Event(Every(cycles=3), log)]
            return Trainer(toys.Fit(), {"net": toys.net(1)}, keras.optimizers.SGD(0.01), toys.points(),
                           run_dir=folder, record=False, events=events[::order], say=print)

        make().train(cycles=3)
        make().train(cycles=6)
        whole = make(folder=None)
        means = [whole.engine.run(3).totals["fit"]["squared_error"] for _ in range(2)]
        assert [cycle for cycle, _ in rows] == [3, 6]
        assert [mean for _, mean in rows] == pytest.approx([total / count for total, count in means], rel=1e-9)


def test_an_event_returns_what_it_wants_done(tmp_path):
    said = []

    def made(folder, wish):
        def act(trainer, means):
            return wish if trainer.counters.cycles == 3 else None

        return Trainer(toys.Fit(), {"net": toys.net(1)}, keras.optimizers.SGD(0.01), toys.points(), run_dir=folder,
                       record=False, events=[Event(Every(cycles=1), act)], say=said.append, plan="eager")

    made(tmp_path / "saved", "save").train(cycles=5)
    assert [path.name for path in (tmp_path / "saved" / "checkpoints").iterdir()] == ["3"]
    ended = made(tmp_path / "ended", Stop("enough"))
    ended.train(cycles=5)
    assert (ended.counters.cycles, ended.stopped) == (3, "enough") and said[-1] == "training ends: enough"
    with pytest.raises(Invalid, match=r"`event` \('stop'\) must be made to return \"save\" or Stop\(why\)"):
        made(tmp_path / "wrong", "stop").train(cycles=5)
