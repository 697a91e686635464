"""The order of updates, against a walk of Python."""

import random

import pytest
import tensorflow as tf

from engine import Invalid, Phase
from engine.cycle.reads import Reads, reads_of
from engine.cycle.schedule import Schedule
from tests import toys


def schedule(forms, takes):
    """Of phases (repeats, every) that take so many batches of two sources."""
    phases = [Phase(f"p{i}", print, ["net"], repeats=repeats, every=every) for i, (repeats, every) in enumerate(forms)]
    sources = {"a": toys.points(4), "b": toys.points(8)}
    reads = [Reads({name: source for name, source in sources.items() if each["ab".index(name)]}, 4) for each in takes]
    return Schedule(phases, reads, list(sources), [max(each) or 1 for each in takes])


@pytest.mark.parametrize("seed", range(20))
def test_every_place_follows_from_every_earlier_one(seed):
    draw = random.Random(seed)
    count = draw.randint(1, 3)
    forms = [(draw.randint(1, 4), draw.choice([1, 1, 2, 3, 5])) for _ in range(count)]
    made = schedule(forms, [(draw.choice([0, 2]), draw.choice([0, 2])) for _ in range(count)])
    place, walked = made.start(), []
    for _ in range(70):
        phase = made.phase_at(place.slot)
        every = forms[phase][1]
        cycle, offset = divmod(place.slot, sum(repeats for repeats, _ in forms))
        assert (made.cycle(place.slot), made.offset(place.slot)) == (cycle, offset)
        if cycle % every:
            assert not made.due(phase, place, {})
            place = place._replace(slot=place.slot + 1)
            continue
        assert made.due(phase, place, {})
        walked.append((phase, place))
        place = made.passed(phase, place)
    for _, start in walked[:12]:
        for phase in range(count):
            later = [place for each, place in walked if each == phase and place.slot >= start.slot][:4]
            for number, expected in enumerate(later):
                assert made.later(phase, start, number) == expected
                traced = made.later(phase, tf.nest.map_structure(lambda n: tf.constant(n, tf.int64), start),
                                    tf.constant(number, tf.int64))
                assert tf.nest.map_structure(int, traced) == expected


@pytest.mark.parametrize("every, cycles", [(1, 3), (2, 5), (7, 3), (3, 12)])
def test_no_window_of_cycles_holds_more_updates_than_said(every, cycles):
    made = schedule([(2, every), (1, 1)], [(1, 0), (0, 0)])
    length = cycles * made.slots_per_cycle
    most = max(made.between(0, first, first + length) for first in range(60))
    assert most <= made.at_most(0, cycles) <= 2 * cycles


def test_the_mean_of_batches_in_a_cycle():
    assert schedule([(5, 1), (1, 4)], [(1, 0), (2, 1)]).batches_per_cycle == 5 + 2 / 4


@pytest.mark.parametrize("phases, message", [
    ([{"reads": "labelled"}], r"`reads of phase p0` \(labelled\) must be one of data, or \"same\""),
    ([{"reads": ["data", "data"]}], r"`reads of phase p0` .* must be different sources"),
    ([{"reads": []}], r"`reads of phase p0` \(\[\]\) must be at least one source, or None"),
    ([{"reads": "same"}], r"`reads of phase p0` \(same\) must be after a phase that reads a batch"),
    ([{"reads": None}, {"reads": "same"}], r"`reads of phase p1` \(same\) must be after a phase that reads a batch"),
])
def test_what_cannot_be_read_is_refused(phases, message):
    made = [Phase(f"p{i}", print, ["net"], **options) for i, options in enumerate(phases)]
    with pytest.raises(Invalid, match=message):
        reads_of(made, {"data": toys.points()})
