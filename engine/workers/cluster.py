"""Who trains together: TF_CONFIG, as TensorFlow, Kubernetes's and Slurm's launchers and Ray write it."""

import json
import os
from collections.abc import Mapping
from typing import NamedTuple

from engine.errors import Invalid, require

EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


class Cluster(NamedTuple):
    """The addresses (host, port) of all workers, the chief first, and the place of this process among them."""

    rank: int
    addresses: tuple[tuple[str, int], ...]


def cluster(text: str | None = None) -> Cluster | None:
    """What ``text``, or else the environment's TF_CONFIG, says; None if it names no more than one worker.

    Raises:
      Invalid: What is no cluster of workers.
    """
    text = os.environ.get("TF_CONFIG", "") if text is None else text
    if not text.strip():
        return None
    rule = f"a cluster and a task, as {EXAMPLE}"
    try:
        found = json.loads(text)
        jobs, task = found.get("cluster", {}), found.get("task", {})
        kind, index = task.get("type", "worker"), task.get("index", 0)
        chiefs, workers = jobs.get("chief", []), jobs.get("worker", [])
        numbered = type(index) is int or (isinstance(index, str) and index.isdecimal())
        require(numbered and isinstance(chiefs, list) and isinstance(workers, list), "TF_CONFIG", text, rule)
        require("cluster" in found or not found, "TF_CONFIG", text, rule)
        require("index" in task or len(chiefs) + len(workers) < 2, "TF_CONFIG", text, rule)
        index = int(index)
    except (json.JSONDecodeError, TypeError, AttributeError):
        raise Invalid(f"`TF_CONFIG` ({text}) must be {rule}") from None
    require(set(jobs) <= {"chief", "worker"}, "TF_CONFIG cluster", ", ".join(jobs), "of the jobs chief and worker")
    require(kind in ("chief", "worker"), "TF_CONFIG task type", kind, "chief or worker")
    mine = {"chief": chiefs, "worker": workers}[kind]
    addresses = tuple(_address(each) for each in [*chiefs, *workers])
    last = max(0, len(mine) - 1)
    require(0 <= index <= last, "TF_CONFIG task index", index, f"from 0 to {last}" if last else "0")
    if len(addresses) <= 1:
        return None
    require(len(set(addresses)) == len(addresses), "TF_CONFIG cluster", text, "of different addresses")
    return Cluster(index if kind == "chief" else len(chiefs) + index, addresses)


def _address(text: object) -> tuple[str, int]:
    host, colon, port = str(text).rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() else 0
    require(colon and host and 0 < number < 65536, "TF_CONFIG address", text, "as host:port")
    return host.strip("[]"), number


def environment_of(hosts: Mapping[int, str], rank: int) -> str:
    """The TF_CONFIG of worker ``rank`` among ``hosts`` {rank: host:port}."""
    return json.dumps({"cluster": {"worker": [hosts[each] for each in sorted(hosts)]},
                       "task": {"type": "worker", "index": rank}})
