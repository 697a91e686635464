"""What the environment tells each worker of a launch: the cluster, its threads, its GPU."""

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence

# Inside one TensorFlow operation, between operations, and in NumPy's BLAS (TensorFlow 2.21 reads the first two alone).
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
CARDS = "CUDA_VISIBLE_DEVICES"
NO_CARD = ("", "-1", "NoDevFiles")  # entries of it at which a list of cards ends
HOST = "127.0.0.1"


@contextlib.contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Ports on which nobody listens, held inside.

    They are held by sockets that are bound and do not listen. Linux then gives such a port to nobody who asks for any
    port, but lets one listen on it who names it, with SO_REUSEADDR, as TensorFlow's servers and ours do; so no other
    launch gets it in the seconds in which TensorFlow loads. A system that does not let it is found out, and the ports
    are given free at once: a worker that then finds its own taken ends, and all are started again on other ports.
    """
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(_bound()) for _ in range(count)]
        ports = [each.getsockname()[1] for each in sockets]
        if not all(map(_can_listen, ports)):
            held.close()
        yield ports


def _bound(port: int = 0) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
    except OSError:
        made.close()
        raise
    return made


def _can_listen(port: int) -> bool:
    try:
        with _bound(port) as second:
            second.listen()
    except OSError:
        return False
    return True


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cards(environment: Mapping[str, str]) -> list[str]:
    """GPUs that the user allows, or else all that nvidia-smi lists, as CUDA_VISIBLE_DEVICES names them."""
    given = environment.get(CARDS)
    if given is not None:
        return list(itertools.takewhile(lambda each: each not in NO_CARD, map(str.strip, given.split(","))))
    program = shutil.which("nvidia-smi")
    if not program:
        return []
    try:
        listed = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):  # without a driver there is no GPU
        return []
    return [str(number) for number, _ in enumerate(line for line in listed.splitlines() if line.startswith("GPU "))]


def of_workers(environment: Mapping[str, str], ports: Sequence[int], threads: int | None,
               found: Sequence[str]) -> list[dict[str, str]]:
    """The environment of each worker.

    Args:
      environment: The launcher's. What it says of threads goes before their default.
      threads: Threads that were asked for; None for an equal part of the cores.
      found: The GPUs; worker i sees the one at place i alone.
    """
    default = str(threads or max(1, cores() // len(ports)))
    shared = {name: default for name in THREADS if threads or not environment.get(name)}
    cluster = {"worker": [f"{HOST}:{port}" for port in ports]}
    return [{**environment, **shared, **({CARDS: found[index]} if found else {}),
             "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})}
            for index in range(len(ports))]
