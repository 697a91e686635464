"""What the workers of a run must have alike."""

import os

import pytest

from engine import Event, Every, Recording
from engine.reporting.recording import times_of
from engine.run.together import require_same_threads


class Asked:
    """Keeps what is to be the same."""

    def agree(self, values, why):
        self.values = values


def asked():
    made = Asked()
    require_same_threads(made)
    return made.values


def test_threads_are_those_that_add_however_they_were_set(monkeypatch):
    """TensorFlow tells nothing of what the environment says, and 0 for as many as there are processors."""
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    assert asked()["threads"] == len(os.sched_getaffinity(0))
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    assert asked()["threads"] == 3


@pytest.mark.parametrize("name", ["oneDNN", "processor", "device"])
def test_so_is_what_else_bits_hang_on(name):
    assert name in asked()


def test_when_something_happens_is_told_by_name_and_says_nothing_of_the_process():
    """Of an interval of the user's own making its class alone: its address is another in each process."""
    class Often:
        pass

    recording = Recording(Every(cycles=3), Every(epochs=0.5), Every(seconds=60), at_end={"test": None})
    events = [Event(Every(cycles=7), print), Event(Often(), print)]
    assert times_of(recording, events) == {
        "log_every": "Every(cycles=3)", "evaluate_every": "Every(epochs=0.5)", "checkpoint_every": "Every(seconds=60)",
        "events": ["Every(cycles=7)", "Often"], "at_end": ["test"], "histograms": False}
    assert times_of(None, []) == {"events": []}
