"""One writer in the background."""

import threading

import pytest

from engine.run.saving import SavingThread


def test_a_job_runs_in_the_background_and_the_next_waits_for_it():
    writer, free, done = SavingThread(), threading.Event(), []
    writer.start(lambda: (free.wait(10), done.append("first")))
    assert done == []
    threading.Timer(0.05, free.set).start()
    writer.start(lambda: done.append("second"))
    writer.wait()
    assert done == ["first", "second"]


def test_an_error_is_raised_once_by_whoever_comes_next():
    for meet in (lambda writer: writer.wait(), lambda writer: writer.start(lambda: None), _later):
        writer = SavingThread()
        writer.start(_fail)
        with pytest.raises(OSError, match="disk full"):
            meet(writer)
        writer.check()
        writer.wait()
        done = []
        writer.start(lambda done=done: done.append(1))  # and it works again
        writer.wait()
        assert done == [1]


def _fail():
    raise OSError("disk full")


def _later(writer):
    """``check`` does not wait, but finds the error of a job that has ended."""
    writer._thread.join()
    writer.check()


def test_nothing_to_wait_for():
    writer = SavingThread()
    writer.check()
    writer.wait()
