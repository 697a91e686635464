"""The parts of launch.py, without processes: what workers are told, and what their exit codes mean together."""

import json
import os
import signal
import socket
from pathlib import Path
from types import SimpleNamespace

import launch
import pytest
import supervisor
import verdicts
import worker_environment
from verdicts import verdict


def environments(count, environment=(), threads=None, cards=()):
    return worker_environment.of_workers(dict(environment), list(range(1, count + 1)), threads, cards)


@pytest.mark.parametrize("count, cores, threads", [(1, 2, "2"), (2, 8, "4"), (3, 8, "2"), (4, 2, "1")])
def test_cores_are_divided(count, cores, threads, monkeypatch):
    monkeypatch.setattr(worker_environment, "cores", lambda: cores)
    assert all(told[name] == threads for told in environments(count) for name in worker_environment.THREADS)


def test_threads_of_the_user_stay_unless_the_option_says_another_number(monkeypatch):
    monkeypatch.setattr(worker_environment, "cores", lambda: 8)
    user = {"TF_NUM_INTRAOP_THREADS": "3", "OMP_NUM_THREADS": ""}
    assert [environments(2, user)[1][name] for name in worker_environment.THREADS] == ["3", "4", "4"]
    assert [environments(2, user, 5)[1][name] for name in worker_environment.THREADS] == ["5", "5", "5"]


def test_each_worker_sees_one_card():
    assert [told["CUDA_VISIBLE_DEVICES"] for told in environments(2, {"CUDA_VISIBLE_DEVICES": "5,3,4"}, None,
                                                                  ["5", "3", "4"])] == ["5", "3"]
    assert [told["CUDA_VISIBLE_DEVICES"] for told in environments(2, {"CUDA_VISIBLE_DEVICES": "-1"})] == ["-1", "-1"]
    assert all("CUDA_VISIBLE_DEVICES" not in told for told in environments(2))


@pytest.mark.parametrize("given, cards", [("", []), ("-1", []), ("NoDevFiles", []), ("2, 0", ["2", "0"]),
                                          ("GPU-8a", ["GPU-8a"]), ("1,-1,0", ["1"])])
def test_the_users_cards(given, cards):
    assert worker_environment.cards({"CUDA_VISIBLE_DEVICES": given}) == cards


@pytest.mark.parametrize("script, cards", [
    ("echo 'GPU 0: NVIDIA (UUID: GPU-1)'; echo '  MIG 1g: x'; echo 'GPU 1: NVIDIA (UUID: GPU-2)'", ["0", "1"]),
    ("echo 'NVIDIA-SMI has failed'; exit 9", [])])
def test_cards_that_the_driver_lists(script, cards, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert worker_environment.cards({}) == cards


def test_more_workers_than_cards_are_refused(monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(SystemExit) as end:
        launch.main(launch.Options(workers=3), ["true"])
    assert (end.value.code, capsys.readouterr().err) == (
        2, "error: `--workers` (3) must be at most 2, the number of GPUs (with CUDA_VISIBLE_DEVICES set to nothing, "
           "CPUs train)\n")


def test_a_held_port_is_for_who_names_it_alone():
    with worker_environment.free_ports(3) as ports:
        assert len(set(ports)) == 3
        for port in ports:
            with socket.create_server(("", port)), socket.create_connection(("127.0.0.1", port)):
                pass
        with socket.socket() as plain, pytest.raises(OSError, match="in use"):
            plain.bind(("127.0.0.1", ports[0]))
    with socket.socket() as plain:
        plain.bind(("127.0.0.1", ports[1]))


def test_ports_are_given_free_where_nobody_could_listen_on_them(monkeypatch):
    monkeypatch.setattr(worker_environment, "_can_listen", lambda port: False)
    with worker_environment.free_ports(2) as ports, socket.socket() as plain:
        plain.bind(("127.0.0.1", ports[1]))  # without SO_REUSEADDR


@pytest.mark.parametrize("words, folder", [
    ("x --run-dir a", "a"), ("x --run-dir=a --run-dir b/c", "b/c"), ("x --run-dir", None), ("x --run-dirs a", None),
    ("x --run-dir=", None)])
def test_the_run_dir_of_a_command(words, folder):
    assert launch.run_dir_of(words.split()) == (folder and Path(folder))


def test_the_newest_checkpoint(tmp_path):
    assert launch.newest(None) == launch.newest(tmp_path) == -1
    for name in ("3", "12", "12.1", ".partial-20"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert launch.newest(tmp_path) == 12


STOPPED = "stopped"  # a worker that the launcher ended


@pytest.mark.parametrize("codes, order, caught, code, why", [
    ([0, 0], [1, 0], [], 0, ""),
    ([3, 3], [1, 0], [], 3, ""),
    ([75, 2], [0, 1], [], 2, "worker 1 ended with exit code 2"),
    ([143, -6], [1, 0], [], 143, ""),  # an abort that came of it
    ([3, -9], [1, 0], [], 3, ""),
    ([143, STOPPED], [0, 1], [], 143, ""),
    ([STOPPED, 143], [1, 0], [], 143, ""),
    ([-11, 143], [1, 0], [], 1, "worker 0 was killed by SIGSEGV, before the last checkpoint was whole"),
    ([75, 1], [1, 0], [15], 1, "worker 1 ended with exit code 1, before the last checkpoint was whole"),
    ([-15, -15], [1, 0], [15], 143, ""),
    ([STOPPED, STOPPED], [1, 0], [2, 2], 130, ""),
    ([143, 1], [1, 0], [15], 143, ""),
    ([0, 143], [0, 1], [15], 143, ""),
    ([0, -15], [0, 1], [15], 0, "worker 1 was killed by SIGTERM, but the chief was done: the run is complete"),
    ([0, 75], [0, 1], [], 0, "worker 1 ended with exit code 75, but the chief was done: the run is complete"),
    ([75, 75], [0, 1], [], None, "the workers have lost each other, and none of them died"),
    ([75, -11], [0, 1], [], None, "worker 1 was killed by SIGSEGV"),
    ([75, STOPPED], [0, 1], [], None, "worker 1 did not end with the others"),
    ([STOPPED, 0], [1, 0], [], None, "worker 0 did not end with the others"),
    ([137, 75], [0, 1], [], None, "worker 0 ended with exit code 137"),
    ([-62, 75], [0, 1], [], None, "worker 0 was killed by signal 62"),
])
def test_verdicts(codes, order, caught, code, why):
    workers = [SimpleNamespace(index=index, code=-9 if code == STOPPED else code, stopped=code == STOPPED)
               for index, code in enumerate(codes)]
    assert verdict(workers, [workers[index] for index in order], caught)[:2] == (code, why)


def test_after_a_signal_nothing_is_started(capsys):
    caught = [signal.SIGTERM]
    assert launch._started(launch.Options(workers=2), ["no program"], [], caught) == (143, "", ())

    def start():
        caught.append(signal.SIGINT)  # when the loss is known already
        return verdicts.Verdict(None, "worker 1 was lost")

    caught.clear()
    assert supervisor.supervise(start, 3, lambda: -1, caught, "again") == 130
    assert capsys.readouterr().err == ""


def test_workers_that_were_started_end_if_another_cannot_be(monkeypatch):
    stopped = []

    class Some:
        """A worker; only the first can be started."""

        def __init__(self, index, command, environment):
            if index:
                raise OSError(11, "Resource temporarily unavailable")
            self.index, self.code, self.stopped = index, None, False

        def stop(self, signum):
            stopped.append(signum)

        def look(self):
            self.code = -9 if stopped else None

    monkeypatch.setattr(launch, "Worker", Some)
    assert launch._started(launch.Options(workers=3), ["x"], [], []) == (
        2, "error: `COMMAND` (x) must be a program that can be run: Resource temporarily unavailable", ())
    assert stopped == [signal.SIGKILL]


def test_exit_codes_of_wanted_stops_are_those_of_the_engine():
    from engine.run.signals import SIGNALS

    assert verdicts.SIGNALS == SIGNALS
    assert 128 + signal.SIGKILL not in verdicts.RESULTS


def test_the_cluster_is_what_tensorflow_reads():
    assert json.loads(environments(2)[1]["TF_CONFIG"]) == {
        "cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"type": "worker", "index": 1}}
