"""Sums, gathering and broadcasts over sockets, and what is said of partners that are lost."""

import socket
import threading
import time

import numpy as np
import pytest

from engine.errors import Invalid
from engine.workers import collectives, links
from engine.workers.collectives import packed, unpacked
from engine.workers.links import OutOfStep, WorkerLost
from tests import pairs

SIZES = [1, 3, 100, 50_001]  # up to half a message, and beyond


def balanced(values):
    """The sum of a power of two of arrays up a tree."""
    while len(values) > 1:
        values = [low + high for low, high in zip(values[::2], values[1::2], strict=True)]
    return values[0]


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_a_sum_is_the_same_bits_everywhere_and_of_a_balanced_tree(count):
    data = [[np.random.default_rng((rank, size)).normal(size=size).astype("float32") for size in SIZES]
            for rank in range(count)]
    for each in (each for own in data for each in own):
        each.flags.writeable = False
    found = pairs.side_by_side(lambda worker: [worker.added(each, "sum") for each in data[worker.rank]], count)
    for place in range(len(SIZES)):
        every = [each[place] for each in found]
        assert all(np.array_equal(one, every[0]) for one in every)
        assert all(one.ctypes.data % collectives.ALIGNED == 0 for one in every)
        given = [each[place] for each in data]
        np.testing.assert_allclose(every[0], np.sum(given, axis=0, dtype="float64"), rtol=1e-4, atol=1e-5)
        if count in (2, 4):
            np.testing.assert_array_equal(every[0], balanced(given))


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_values_of_the_chief_and_of_all(count):
    def act(worker):
        arrays = {"a/b": np.arange(3) + worker.rank, "c": np.float32(worker.rank)}
        return (worker.from_chief({"rank": worker.rank} if worker.is_chief else None, "facts"),
                worker.from_all(worker.rank, "ranks"), worker.most(worker.rank, "most"),
                {name: array.tolist() for name, array in worker.arrays_from_chief(arrays, "state").items()},
                [each["c"].item() for each in worker.arrays_from_all(arrays, "all")],
                worker.clock(lambda: 10.0 + worker.rank)())

    expected = ({"rank": 0}, list(range(count)), count - 1, {"a/b": [0, 1, 2], "c": 0.0},
                [float(rank) for rank in range(count)], 10.0)
    assert pairs.side_by_side(act, count) == [expected] * count


def test_arrays_are_packed_without_anything_that_is_run():
    with pytest.raises(ValueError):
        packed({"object": np.array([{}], object)})
    assert unpacked(packed({"x": np.ones(2)}))["x"].tolist() == [1.0, 1.0]


def test_what_differs_is_named_on_all():
    said = []

    def act(worker):
        try:
            worker.agree({"rate": 0.1 + worker.rank, "same": 1}, "it makes the run")
        except Invalid as error:
            said.append(str(error))

    pairs.side_by_side(act)
    assert said == ["`rate` (0.1 of worker 0, 1.1 of worker 1) must be the same on all workers: it makes the run"] * 2


def test_what_is_of_any_length_comes_from_all_in_order():
    """Of a number of workers that is no power of two: those beside the tree, too."""
    def act(worker):
        return worker._together.gather(bytes([worker.rank]) * worker.rank, "all")

    assert pairs.side_by_side(act, 7) == [[bytes([rank]) * rank for rank in range(7)]] * 7


def test_connections_and_messages_grow_with_the_logarithm_of_the_workers():
    """Each of 8 talks to 3; with all to all it would be 7."""
    def act(worker):
        counts = []
        for do in (lambda: worker.added(np.ones(9, "float32"), "sum"), lambda: worker.from_all(1, "all"),
                   lambda: worker.most(worker.rank, "most"), lambda: worker.from_chief(1, "chief"),
                   lambda: worker.agree({"rate": float("nan")}, "why")):
            before = worker._links.messages
            do()
            counts.append(worker._links.messages - before)
        return {purpose: sorted(each) for purpose, each in worker._links.sockets.items()}, counts

    for rank, (sockets, counts) in enumerate(pairs.side_by_side(act, 8)):
        assert list(sockets.values()) == [sorted(rank ^ each for each in (1, 2, 4))] * 2
        assert counts[:3] == [3, 3, 3] and counts[3] <= 3 and counts[4] <= 6


def told(act, count=2, kinds=None):
    said = {}

    def one(worker):
        try:
            act(worker)
        except WorkerLost as error:
            said[worker.rank] = str(error)
            if kinds is not None:
                kinds.append(type(error))

    pairs.side_by_side(one, count)
    return said


def test_workers_that_do_different_things_are_told_so():
    def act(worker):
        worker.added(np.ones(3, "float32"), "update of fit" if worker.rank else "evaluation")

    kinds = []
    said = told(act, kinds=kinds)
    assert OutOfStep in kinds  # another start would not help
    assert any("worker 1 is at 'update of fit' (12 bytes), where worker 0 is at 'evaluation' (12 bytes)" in line
               or "worker 0 is at 'evaluation' (12 bytes), where worker 1 is at 'update of fit'" in line
               for line in said.values())
    assert len(said) == 2


def test_a_collective_of_one_alone_is_told_after_a_while(monkeypatch):
    monkeypatch.setattr(links, "WAITING", 1.0)
    over = threading.Event()

    def act(worker):
        if worker.rank:
            over.wait(20.0)
        else:
            try:
                worker.added(np.ones(3), "evaluation")
            finally:
                over.set()

    assert "worker 1 lives but has not come to 'evaluation' for 1 s: has an event of one worker" in told(act)[0]


def test_a_partner_that_ends_is_told_at_once():
    def act(worker):
        if worker.rank == 1:
            worker._links.close()
            return
        began = time.monotonic()
        with pytest.raises(WorkerLost, match="worker 1 has ended"):
            worker.added(np.ones(3), "update")
        assert time.monotonic() - began < 5.0

    pairs.side_by_side(act)


def test_a_partner_that_is_silent_is_told_in_time(monkeypatch):
    from engine.workers import heartbeat
    monkeypatch.setattr(heartbeat, "SILENCE", 2.0)
    over = threading.Event()

    def act(worker):
        if worker.rank == 1:
            worker._heartbeat._send = lambda: None
            over.wait(20.0)
            return
        began = time.monotonic()
        try:
            with pytest.raises(WorkerLost, match="worker 1 has been silent for"):
                worker.added(np.ones(3), "update")
            assert time.monotonic() - began < 6.0
        finally:
            over.set()

    pairs.side_by_side(act)


def test_who_is_lost_is_told_to_those_that_have_no_connection_to_it(monkeypatch):
    from engine.workers import heartbeat
    monkeypatch.setattr(heartbeat, "SILENCE", 2.0)
    over = threading.Barrier(4)

    def act(worker):
        assert worker.rank != 0 or 3 not in worker._links.sockets[links.BEATS]
        if worker.rank == 3:
            worker._heartbeat._send = lambda: None
        else:
            with pytest.raises(WorkerLost, match="worker 3 has been silent for"):
                worker.added(np.ones(3), "update")
        over.wait(20.0)

    pairs.side_by_side(act, 4)


def test_who_was_stopped_itself_finds_no_partner_silent(monkeypatch):
    """Wherever it stood: all may have slept, and its partners wake a little later."""
    from engine.workers import heartbeat
    monkeypatch.setattr(heartbeat, "SILENCE", 60.0)
    monkeypatch.setattr(heartbeat, "EACH", 0.2)

    def act(worker):
        beats, send, sent = worker._heartbeat, worker._heartbeat._send, []

        def slept():
            sent.append(1)
            time.sleep(2.0 * (worker.rank == 1 and len(sent) == 2))
            if worker.rank == 1 or not 1 < len(sent) < 13:
                send()

        beats._send = slept
        if worker.rank == 1:
            beats._silence = 1.5
        time.sleep(3.5)
        worker.check()

    pairs.side_by_side(act)


def test_those_who_do_not_come_are_named_to_those_that_have_no_connection_to_them(monkeypatch):
    from engine.workers.cluster import Cluster
    from engine.workers.workers import Several
    monkeypatch.setattr(links, "CONNECTING", 2.0)
    where, said = pairs.addresses(4), {}

    def come(rank):
        worker = None
        try:
            worker = Several(Cluster(rank, where))
            worker.added(np.ones(3), "update")
        except WorkerLost as error:
            said[rank] = str(error)
        finally:
            if worker:
                worker.close()

    threads = [threading.Thread(target=come, args=[rank]) for rank in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20.0)
    assert said == dict.fromkeys(range(3), "worker 3 did not come in time")


def test_those_who_do_not_come_are_named(monkeypatch):
    from engine.workers.cluster import Cluster
    monkeypatch.setattr(links, "CONNECTING", 0.5)
    where = pairs.addresses(2)
    with pytest.raises(WorkerLost, match="worker 1 did not come in time"):
        links.Links(Cluster(0, where))
    with pytest.raises(WorkerLost, match=r"worker 0 at 127\.0\.0\.1:\d+ did not answer in time"):
        links.Links(Cluster(1, where))
    with socket.socket() as held:
        held.bind(where[0])
        held.listen()
        with pytest.raises(WorkerLost, match=f"port {where[0][1]} cannot be listened on"):
            links.Links(Cluster(0, where))


def test_a_stranger_is_turned_away():
    """What connects and speaks no word of ours is closed, and the partners are served."""
    where = pairs.addresses(2)

    def stranger():
        time.sleep(0.2)
        for said in (b"GET / HTTP/1.0\r\n\r\n" + b"x" * 40, b""):
            try:
                with socket.create_connection(where[0], timeout=2.0) as link:
                    link.sendall(said)
            except OSError:
                pass

    from engine.workers.cluster import Cluster
    from engine.workers.workers import Several
    threading.Thread(target=stranger, daemon=True).start()
    made = {}

    def come(rank):
        time.sleep(rank)
        made[rank] = Several(Cluster(rank, where))

    threads = [threading.Thread(target=come, args=[rank]) for rank in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20.0)
    ends = [threading.Thread(target=each.close) for each in made.values()]
    for each in ends:
        each.start()
    for each in ends:
        each.join(20.0)
    assert set(made) == {0, 1}
