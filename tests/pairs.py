"""Two workers in one process, each in a thread of its own: what they compute, and what they say to each other."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from engine.workers.cluster import Cluster
from engine.workers.workers import Several

ONE_AT_A_TIME = threading.Lock()  # tracing: layers are told of the batch by patches


def addresses(count):
    """Of as many ports that are free."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return tuple(each.getsockname() for each in sockets)
    finally:
        for each in sockets:
            each.close()


def side_by_side(act, count=2, members=Several):
    """What ``act(worker)`` gives for each, all at once; the first error is raised."""
    where = addresses(count)

    def one(rank):
        worker = members(Cluster(rank, where))
        try:
            return act(worker)
        except BaseException as error:
            worker._links.lose(f"worker {rank} has met {type(error).__name__}")
            raise
        finally:
            worker.close()

    with ThreadPoolExecutor(count) as pool:
        done = [pool.submit(one, rank) for rank in range(count)]
    errors = [each.exception() for each in done if each.exception()]
    if errors:
        raise next((error for error in errors if "has met" not in str(error)), errors[0])
    return [each.result() for each in done]


def trained(make, cycles, count=2):
    """[(engine, nets, report)] of ``make(workers)``, which gives an engine and its nets, after so many cycles."""
    def act(worker):
        with ONE_AT_A_TIME:
            engine, nets = make(worker)
            engine.run(0)  # traces
        return engine, nets, engine.run(cycles)

    return side_by_side(act, count)
