"""TF_CONFIG, as those who start processes write it."""

import json

import pytest

from engine.errors import Invalid
from engine.workers.cluster import cluster, environment_of


def text(task=("worker", 0), **jobs):
    return json.dumps({"cluster": jobs, "task": {"type": task[0], "index": task[1]}})


def test_workers_are_numbered_with_the_chief_first():
    hosts = ["a:1", "b:2"]
    assert cluster(text(("worker", 1), worker=hosts)) == (1, (("a", 1), ("b", 2)))
    assert cluster(text(("chief", 0), chief=["c:3"], worker=hosts)) == (0, (("c", 3), ("a", 1), ("b", 2)))
    assert cluster(text(("worker", 1), chief=["c:3"], worker=hosts)).rank == 2
    assert cluster(text(worker=["[::1]:1", "b:2"])).addresses[0] == ("::1", 1)
    assert cluster(text(("worker", "1"), worker=hosts)).rank == 1  # as a template may write it
    assert cluster(environment_of({0: "a:1", 1: "b:2"}, 1)) == (1, (("a", 1), ("b", 2)))


@pytest.mark.parametrize("nothing", ["", " ", "{}", text(worker=["a:1"]), text(("chief", 0), chief=["a:1"]), text(),
                                     '{"cluster": {}, "task": {}, "environment": "cloud"}'])
def test_one_worker_is_no_cluster(nothing):
    assert cluster(nothing) is None


@pytest.mark.parametrize("given, words", [
    ("[1]", "must be a cluster and a task"), ("{", "must be a cluster and a task"),
    (text(worker=["a:1", "b:2"], ps=["c:3"]), "must be of the jobs chief and worker"),
    (text(("ps", 0), worker=["a:1", "b:2"]), r"`TF_CONFIG task type` \(ps\) must be chief or worker"),
    (text(("worker", 2), worker=["a:1", "b:2"]), r"`TF_CONFIG task index` \(2\) must be from 0 to 1"),
    (text(("worker", "x"), worker=["a:1", "b:2"]), "must be a cluster and a task"),
    (text(worker=["a:1", "b"]), r"`TF_CONFIG address` \(b\) must be as host:port"),
    (text(worker=["a:1", "b:99999"]), "must be as host:port"),
    (text(worker=["a:1", "a:1"]), "must be of different addresses"),
    ('{"worker": ["a:1", "b:2"]}', "must be a cluster and a task"),
    ('{"cluster": {"worker": ["a:1", "b:2"]}}', "must be a cluster and a task"),
    ('{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker"}}', "must be a cluster and a task"),
    (text(("worker", 5)), r"`TF_CONFIG task index` \(5\) must be 0"),
    (text(("worker", 1), worker=["a:1"]), r"`TF_CONFIG task index` \(1\) must be 0"),
    *((text(("worker", index), worker=["a:1", "b:2"]), "must be a cluster and a task") for index in (1.9, True, None)),
    (text(worker="a:1"), "must be a cluster and a task"), (text(worker=["a:1", "b:²"]), "must be as host:port"),
    (text(worker=[1, 2]), "must be as host:port"),
    ('{"cluster": {"worker": ["a:1", "b:2"]}, "task": []}', "a cluster")])
def test_what_is_no_cluster_is_told(given, words):
    with pytest.raises(Invalid, match=words):
        cluster(given)
