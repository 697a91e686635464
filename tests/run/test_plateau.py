"""ReduceLROnPlateau: the rate falls when a metric stops getting better, and all of it is restored."""

import keras
import pytest

from engine import Event, Every, Invalid, Plateau, Trainer
from tests import toys

METRICS = [5.0, 4.0, 4.5, 4.2, 3.0, 3.0, 3.1, 3.2, 3.3, 2.0]


def made(folder=None, said=None, rate=0.1, plateau=None, **options):
    """A trainer that hands in one of ``METRICS`` after each cycle."""
    keras.utils.set_random_seed(0)
    note = Event(Every(cycles=1), lambda trainer, means: trainer.note({"eval/error":
                                                                       METRICS[trainer.counters.cycles - 1]}))
    save = Event(Every(cycles=4), lambda trainer, means: trainer.save(), at_end=False)
    return Trainer(toys.Fit(), {"net": toys.net(1)}, keras.optimizers.SGD(rate), toys.points(), run_dir=folder,
                   record=False,
                   events=[note, save], controllers=[plateau or Plateau("eval/error", factor=0.5, patience=2)],
                   plan="graph", say=(said if said is not None else []).append, **options)


def rate(trainer):
    return float(trainer.engine.parts["fit"].commit.update.optimizer.learning_rate.numpy())


def by_hand(cycles, patience=2):
    best, waited, now = float("inf"), 0, 0.1
    for value in METRICS[:cycles]:
        if value < best:
            best, waited = value, 0
        else:
            waited += 1
            if waited == patience:
                waited, now = 0, now / 2
    return now


@pytest.mark.parametrize("cycles", range(1, 11))
def test_the_rate_is_that_of_a_walk(cycles):
    trainer = made()
    trainer.train(cycles=cycles)
    assert rate(trainer) == pytest.approx(by_hand(cycles), rel=1e-6)


def test_it_says_what_it_does_and_stops_at_the_minimum():
    said = []
    trainer = made(said=said, plateau=Plateau("eval/error", factor=0.1, patience=1, minimum=0.02))
    trainer.train(cycles=10)
    assert rate(trainer) == pytest.approx(0.02)
    assert [line for line in said if "learning rate" in line] == [
        "learning rate 0.1 -> 0.02: eval/error has not got better than 4.0 for 1 evaluations"]


@pytest.mark.parametrize("stop", [3, 5, 7])
def test_a_continued_run_ends_with_the_same_rate_and_bits(tmp_path, stop):
    whole = made(tmp_path / "whole")
    whole.train(cycles=10)
    part = made(tmp_path / "part")
    part.train(cycles=stop)
    part.save()
    again = made(tmp_path / "part")
    again.train(cycles=10)
    assert rate(again) == rate(whole) < 0.1
    assert (toys.bits(again.engine, again.nets) == toys.bits(whole.engine, whole.nets)).all()


@pytest.mark.parametrize("options, message", [
    ({"factor": 1.0}, r"`factor` \(1.0\) must be between 0 and 1"),
    ({"patience": 0}, r"`patience` \(0\) must be an integer of at least 1"),
    ({"better": "best"}, r"`better` \(best\) must be lower or higher"),
    ({"minimum": -1.0}, r"`minimum` \(-1.0\) must be at least 0"),
    ({"least": -1.0}, r"`least` \(-1.0\) must be at least 0"),
])
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(Invalid, match=message):
        Plateau("eval/error", **options)


def test_a_schedule_and_an_unknown_phase_are_refused():
    with pytest.raises(Invalid, match=r"`learning rate` .* must be a number, not a schedule, for a Plateau to change"):
        made(rate=keras.optimizers.schedules.CosineDecay(0.1, 10))
    with pytest.raises(Invalid, match=r"`phase` \(fat\) must be one of fit"):
        made(plateau=Plateau("eval/error", phase="fat"))
